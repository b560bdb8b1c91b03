"""An S3 job in shards that are killed with SIGKILL at random moments and started again.

    python -m tests.benchmarks.s3_job
    python -m tests.benchmarks.s3_job --ceph    # Ceph's gateway, started here
    python -m tests.benchmarks.s3_job --endpoint-url http://127.0.0.1:7480    # a server of yours

The network is a stand-in; listing, downloads, files, puts and kills are real. Without an address,
moto's server runs here and asks every request for the signature of a user with four permissions.
Credentials are the AWS settings. The toll goes to tests/benchmarks/results/s3-job-<name>.json.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Optional

import typer
from boto3.session import Session

from depth.store.objects import open_store
from depth.store.s3 import S3Store
from tests.support import ceph, s3_server
from tests.support.object_jobs import put_images
from tests.support.object_kills import Toll, torment

RESULTS = Path(__file__).parent / "results"
_ACTIONS = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"]


def main(
    name: str = typer.Option("moto", help="Of the server, for the result's name."),
    endpoint_url: Optional[str] = typer.Option(None, help="A server that runs already."),
    with_ceph: bool = typer.Option(False, "--ceph", help="Start Ceph's gateway here."),
    bucket: str = typer.Option("s3-job", help="Its bucket; made if it is not there."),
    images: int = typer.Option(500, help="Small images."),
    shards: int = typer.Option(4, help="Processes at once."),
    kills: int = typer.Option(10, help="How many processes are killed."),
    seconds: float = typer.Option(1.0, help="That the stand-in takes for an image."),
    seed: int = typer.Option(0, help="Of the moments."),
) -> None:
    """Kill shards of a job and count what was lost or done twice."""
    toll = Toll(images, shards, kills, seconds)
    with ExitStack() as stack:
        if with_ceph:
            name, endpoint_url = "ceph", stack.enter_context(_ceph())
        url = endpoint_url or stack.enter_context(_signed_requests_only(bucket))
        if endpoint_url:
            S3Store(bucket, "", url).client.create_bucket(Bucket=bucket)
        place = f"s3://{bucket}/{uuid.uuid4().hex[:8]}"
        with open_store(f"{place}/in", url) as store:
            put_images(store, images)
        torment(place, url, Path(stack.enter_context(tempfile.TemporaryDirectory())), toll, seed)
    text = json.dumps(asdict(toll), indent=2)
    (RESULTS / f"s3-job-{name}.json").write_text(text + "\n")
    typer.echo(text)


@contextmanager
def _ceph() -> Iterator[str]:
    """Ceph's gateway; the variables of this process have its user's keys."""
    os.environ.update(AWS_ACCESS_KEY_ID=ceph.KEY, AWS_SECRET_ACCESS_KEY=ceph.SECRET)
    os.environ.update(AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1")
    with tempfile.TemporaryDirectory(prefix="ceph-") as folder, ceph.gateway(Path(folder)) as url:
        yield url


@contextmanager
def _signed_requests_only(bucket: str) -> Iterator[str]:
    """moto's server, which knows one user; the variables of this process have the user's keys."""
    os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none")
    os.environ.update(AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1")
    server = s3_server.running()
    iam = Session().client("iam", endpoint_url=server.url)
    iam.create_user(UserName="job")
    key = iam.create_access_key(UserName="job")["AccessKey"]
    places = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Action": _ACTIONS, "Resource": places}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="job", PolicyName="job", PolicyDocument=policy)
    S3Store(bucket, "", server.url).client.create_bucket(Bucket=bucket)
    os.environ["AWS_ACCESS_KEY_ID"] = key["AccessKeyId"]
    os.environ["AWS_SECRET_ACCESS_KEY"] = key["SecretAccessKey"]
    with server.asking_for_credentials():
        yield server.url


if __name__ == "__main__":
    typer.run(main)
