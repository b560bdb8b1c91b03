"""A local server of S3 and IAM that enforces the policies of infra/terraform/policies.

The server knows no conditions of policies and no keys of KMS, so both are left out.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.dry_run.flow import CODE
from infra.dry_run.processes import Process, environment

BUCKET, PREFIX, REGION = "depth-artifacts", "depth", "us-east-1"
ROLES = {"push": "store-push", "promote": "store-promote", "read": "store-read"}
_EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
_PLAIN = {"Content-Type": "text/plain"}  # the server would take a form apart


class Cloud:
    """The server, its bucket, and a user per role of the store. `close` ends the server."""

    store = f"s3://{BUCKET}/{PREFIX}"

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "infra.dry_run.server"]
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        self._server = Process(command, folder, environment(**keys))
        try:
            self._server.until(self._address, 60)
            self.url = self._address()
            self._keys: dict[str, tuple[str, str]] = {}
            self._keys["operator"] = ("x", "x")  # until the user is there
            self._clients = {name: self.client(name, "operator") for name in ("iam", "s3")}
            self._clients["s3"].create_bucket(Bucket=BUCKET)
            self._add_user("operator", _EVERYTHING)
            for role, policy in ROLES.items():
                self._add_user(role, *_statements(policy))
            self._clients = {name: self.client(name, "operator") for name in ("iam", "s3")}
            # From here on a request must be signed by a user who may do it.
            reset = urllib.request.Request(f"{self.url}/moto-api/reset-auth", b"0", _PLAIN)
            urllib.request.urlopen(reset, timeout=10).close()
        except BaseException:
            self.close()
            raise

    def settings(self, role: str) -> dict[str, str]:
        """AWS settings of a command with this role."""
        key, secret = self._keys[role]
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "3",
        }

    @contextmanager
    def refusing(self, role: str, key: str) -> Iterator[None]:
        """Meanwhile, the role may not write this key of the store."""
        arn = f"arn:aws:s3:::{BUCKET}/{PREFIX}/{key}"
        refused = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": arn}
        self._put_policy(role, "refused", refused)
        try:
            yield
        finally:
            self._clients["iam"].delete_user_policy(UserName=role, PolicyName="refused")

    def read(self, key: str) -> bytes:
        found = self._clients["s3"].get_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}")
        data: bytes = found["Body"].read()
        return data

    def write(self, key: str, data: bytes) -> None:
        self._clients["s3"].put_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}", Body=data)

    def close(self) -> None:
        self._server.kill()

    def _address(self) -> str:
        found = re.search(r"http://127\.0\.0\.1:\d+", self._server.said())
        return found[0] if found else ""

    def client(self, service: str, role: str) -> Any:
        """A client of boto3 with the role's keys."""
        from boto3.session import Session

        key, secret = self._keys[role]
        return Session().client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    def _add_user(self, name: str, *statements: dict[str, Any]) -> None:
        iam = self._clients["iam"]
        iam.create_user(UserName=name)
        self._put_policy(name, "own", *statements)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        self._keys[name] = (made["AccessKeyId"], made["SecretAccessKey"])

    def _put_policy(self, user: str, name: str, *statements: dict[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self._clients["iam"].put_user_policy(
            UserName=user, PolicyName=name, PolicyDocument=document
        )


def _statements(policy: str) -> list[dict[str, Any]]:
    """What a policy says of S3, with its variables filled in, as templatefile() does."""
    text = (CODE / "infra/terraform/policies" / f"{policy}.json").read_text()
    text = text.replace("${bucket_arn}", f"arn:aws:s3:::{BUCKET}")
    text = text.replace("${prefix}", f"{PREFIX}/")
    found = []
    for statement in json.loads(text)["Statement"]:
        statement.pop("Condition", None)
        if all(action.startswith("s3:") for action in statement["Action"]):
            found.append(statement)
    return found
