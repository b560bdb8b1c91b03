"""An account at a local server of AWS's calls, whose user has policies of infra/terraform.

The server enforces permissions. It knows the resource of a call to S3; of others it knows the
action only, so there a policy's resources become *. It knows no condition, so conditions are left
out.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import Any, Callable

from tests.support.places import ROOT

POLICIES = ROOT / "infra" / "terraform" / "policies"
REGION, ACCOUNT = "us-east-1", "123456789012"
BUCKET, PREFIX = "depth-artifacts", "depth/"
VALUES = {
    "bucket_arn": f"arn:aws:s3:::{BUCKET}",
    "prefix": PREFIX,
    "key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0123",
    "region": REGION,
    "account": ACCOUNT,
    "repository_arn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/depth-serve-inf1",
    "log_group_arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/depth/service",
    "secret_arn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:depth-AbCdEf",
    "cluster_arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/depth",
    "service_arns": json.dumps([f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/depth/depth-0"]),
    "job_arns": json.dumps([f"arn:aws:batch:{REGION}:{ACCOUNT}:job-definition/depth-compile:1"]),
}

DENIED = ("AccessDenied", "UnauthorizedOperation")


def policy(name: str) -> dict[str, Any]:
    """A policy with its variables filled in, as templatefile() does."""
    text = (POLICIES / f"{name}.json").read_text()
    for variable, value in VALUES.items():
        text = text.replace("${" + variable + "}", value)
    found: dict[str, Any] = json.loads(text)
    return found


def actions(*names: str) -> set[str]:
    """The actions that policies grant."""
    found = [statement["Action"] for name in names for statement in policy(name)["Statement"]]
    return {action for listed in found for action in listed}


def _for_the_server(document: dict[str, Any]) -> dict[str, Any]:
    for statement in document["Statement"]:
        statement.pop("Condition", None)
        if not any(action.startswith("s3:") for action in statement["Action"]):
            statement["Resource"] = "*"
    return document


@dataclass
class User:
    """Clients of AWS's services with the user's keys."""

    session: Any  # of boto3; one for all users, because it keeps what it read of the services
    key: str
    secret: str
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            keys = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
            self.clients[service] = self.session.client(service, region_name=REGION, **keys)
        return self.clients[service]


@functools.cache
def _session() -> Any:
    import boto3

    return boto3.Session()


def as_user(names: tuple[str, ...], act: Callable[[User], None]) -> None:
    """Call `act` with a user that has these policies and no other."""
    from moto import mock_aws
    from moto.core import set_initial_no_auth_action_count

    with mock_aws():
        root = User(_session(), "AKIAROOT", "secret")
        s3, iam = root.client("s3"), root.client("iam")
        s3.create_bucket(Bucket=BUCKET)
        for key in ("depth/objects/0", "depth/aliases/vits/inf1/production.json", "elsewhere"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}")
        iam.create_user(UserName="job")
        for name in names:
            document = json.dumps(_for_the_server(policy(name)))
            iam.put_user_policy(UserName="job", PolicyName=name, PolicyDocument=document)
        key = iam.create_access_key(UserName="job")["AccessKey"]
        user = User(_session(), key["AccessKeyId"], key["SecretAccessKey"])
        set_initial_no_auth_action_count(0)(act)(user)


def is_denied(user: User, action: str, arguments: dict[str, Any]) -> bool:
    """Whether a call, named like s3.put_object, ends for want of permission."""
    from botocore.exceptions import ClientError

    service, _, method = action.partition(".")
    try:
        getattr(user.client(service), method)(**arguments)
    except ClientError as error:
        said = f"{error.response['Error']['Code']} {error.response['Error']['Message']}"
        return any(word in said for word in DENIED)
    return False
