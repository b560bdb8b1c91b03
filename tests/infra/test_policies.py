"""The roles' policies at a server that enforces permissions: what is granted works, no more."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest

from tests.support.aws_account import (
    ACCOUNT,
    BUCKET,
    POLICIES,
    REGION,
    User,
    actions,
    as_user,
    is_denied,
    policy,
)

pytest.importorskip("moto.batch", reason="moto with batch: make check-infra has it")
needs_tools = pytest.mark.skipif(
    "CHECK_INFRA" not in os.environ, reason="made by `make check-infra`"
)

ROLES = {
    "read": ("store-read",),
    "push": ("store-push",),
    "promote": ("store-promote",),
    "task": ("store-read", "write-metrics"),
    "start": ("start-containers", "read-token"),
    "pipeline": ("run-pipeline",),
}


def _put(key: str) -> tuple[str, dict[str, Any]]:
    return "s3.put_object", {"Bucket": BUCKET, "Key": key, "Body": b"{}"}


GET = "s3.get_object", {"Bucket": BUCKET, "Key": "depth/objects/0"}
LIST = "s3.list_objects_v2", {"Bucket": BUCKET, "Prefix": "depth/"}
PRODUCTION = _put("depth/aliases/vits/inf1/production.json")
RUN = _put("depth/aliases/vits/inf1/run-1.json")
OBJECT = _put("depth/objects/1")
PROBE = _put("depth/probe")
STREAM = "logs.create_log_stream", {"logGroupName": "x", "logStreamName": "x"}
GRANTED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "read": [GET, LIST],
    "push": [GET, LIST, OBJECT, _put("depth/artifacts/0/manifest.json"), RUN, PROBE],
    "promote": [GET, LIST, PRODUCTION, RUN, PROBE],
    "task": [GET, LIST, STREAM],
    "start": [
        ("ecr.get_authorization_token", {}),
        ("ecr.batch_get_image", {"repositoryName": "depth", "imageIds": [{"imageTag": "1"}]}),
        ("secretsmanager.get_secret_value", {"SecretId": "depth"}),
        STREAM,
    ],
    # The server names calls to Batch by their path, so what is granted there cannot be shown.
    "pipeline": [
        ("ecs.update_service", {"cluster": "depth", "service": "depth-0"}),
        ("ecs.describe_services", {"cluster": "depth", "services": ["depth-0"]}),
        ("logs.describe_log_groups", {}),
    ],
}
ELSEWHERE = _put("elsewhere")
WRITES = {
    "read": [PRODUCTION, RUN, OBJECT, PROBE, ELSEWHERE],
    "push": [PRODUCTION, ELSEWHERE],
    "promote": [OBJECT, _put("depth/artifacts/0/manifest.json"), ELSEWHERE],
    "task": [PRODUCTION, RUN, OBJECT, PROBE, ELSEWHERE],
    "start": [GET, LIST, OBJECT],
    "pipeline": [GET, LIST, OBJECT, PRODUCTION],
}
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/x"
# No role may do any of these.
NEVER: list[tuple[str, dict[str, Any]]] = [
    ("s3.delete_object", {"Bucket": BUCKET, "Key": "depth/objects/0"}),
    ("s3.delete_bucket", {"Bucket": BUCKET}),
    ("s3.create_bucket", {"Bucket": "another-bucket"}),
    ("s3.get_object", {"Bucket": BUCKET, "Key": "elsewhere"}),
    ("s3.put_bucket_policy", {"Bucket": BUCKET, "Policy": "{}"}),
    ("s3.delete_bucket_policy", {"Bucket": BUCKET}),
    ("s3.get_bucket_policy", {"Bucket": BUCKET}),
    ("s3.put_bucket_versioning", {"Bucket": BUCKET, "VersioningConfiguration": {}}),
    ("s3.put_bucket_acl", {"Bucket": BUCKET, "ACL": "public-read"}),
    ("s3.delete_bucket_encryption", {"Bucket": BUCKET}),
    ("s3.delete_public_access_block", {"Bucket": BUCKET}),
    ("s3.list_buckets", {}),
    ("iam.create_user", {"UserName": "x"}),
    ("iam.create_access_key", {"UserName": "job"}),
    ("iam.create_role", {"RoleName": "x", "AssumeRolePolicyDocument": "{}"}),
    ("iam.put_user_policy", {"UserName": "job", "PolicyName": "x", "PolicyDocument": "{}"}),
    ("iam.attach_user_policy", {"UserName": "job", "PolicyArn": ROLE_ARN}),
    ("iam.list_users", {}),
    ("iam.list_roles", {}),
    ("iam.get_user", {"UserName": "job"}),
    ("sts.assume_role", {"RoleArn": ROLE_ARN, "RoleSessionName": "x1"}),
    ("kms.create_key", {}),
    ("kms.list_keys", {}),
    ("kms.schedule_key_deletion", {"KeyId": "0123"}),
    ("kms.disable_key", {"KeyId": "0123"}),
    ("kms.put_key_policy", {"KeyId": "0123", "PolicyName": "default", "Policy": "{}"}),
    ("kms.encrypt", {"KeyId": "0123", "Plaintext": b"x"}),
    ("ec2.run_instances", {"MinCount": 1, "MaxCount": 1, "ImageId": "ami-0123"}),
    ("ec2.terminate_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
    ("ec2.describe_instances", {}),
    ("ec2.create_security_group", {"GroupName": "x", "Description": "x"}),
    ("ec2.describe_vpcs", {}),
    ("ecr.delete_repository", {"repositoryName": "xx"}),
    ("ecr.create_repository", {"repositoryName": "xx"}),
    ("ecr.put_image", {"repositoryName": "xx", "imageManifest": "{}"}),
    ("ecr.describe_repositories", {}),
    ("logs.delete_log_group", {"logGroupName": "x"}),
    ("logs.create_log_group", {"logGroupName": "x"}),
    ("logs.put_retention_policy", {"logGroupName": "x", "retentionInDays": 1}),
    ("ssm.get_parameter", {"Name": "x"}),
    ("ssm.put_parameter", {"Name": "x", "Value": "x", "Type": "String"}),
    ("ssm.delete_parameter", {"Name": "x"}),
    ("batch.register_job_definition", {"jobDefinitionName": "x", "type": "container"}),
    ("batch.delete_job_queue", {"jobQueue": "x"}),
    ("batch.deregister_job_definition", {"jobDefinition": "x"}),
    ("ecs.delete_service", {"cluster": "depth", "service": "depth-0"}),
    ("ecs.register_task_definition", {"family": "x", "containerDefinitions": []}),
    ("ecs.run_task", {"cluster": "depth", "taskDefinition": "x"}),
    ("stepfunctions.list_state_machines", {}),
    ("stepfunctions.delete_state_machine", {"stateMachineArn": ROLE_ARN}),
    ("secretsmanager.list_secrets", {}),
    ("secretsmanager.put_secret_value", {"SecretId": "x", "SecretString": "x"}),
    ("secretsmanager.delete_secret", {"SecretId": "x"}),
]


@needs_tools
@pytest.mark.parametrize("role", ROLES)
def test_a_role_can_do_what_it_is_granted(role: str) -> None:
    def act(user: User) -> None:
        denied = [call for call in GRANTED[role] if is_denied(user, *call)]
        assert not denied

    as_user(ROLES[role], act)


@needs_tools
@pytest.mark.parametrize("role", ROLES)
def test_a_role_can_do_nothing_else(role: str) -> None:
    calls = NEVER + WRITES[role]
    assert len(calls) >= 40

    def act(user: User) -> None:
        done = [call for call in calls if not is_denied(user, *call)]
        assert not done

    as_user(ROLES[role], act)


@needs_tools
def test_the_server_would_see_a_policy_that_grants_too_much(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    everything = {"Sid": "All", "Effect": "Allow", "Action": ["*"], "Resource": ["*"]}
    document = {"Version": "2012-10-17", "Statement": [everything]}
    (tmp_path / "all.json").write_text(json.dumps(document))
    monkeypatch.setattr("tests.support.aws_account.POLICIES", tmp_path)

    def act(user: User) -> None:
        assert not is_denied(user, "iam.list_users", {})
        assert not is_denied(user, *ELSEWHERE)

    as_user(("all",), act)


@pytest.mark.parametrize("name", sorted(path.stem for path in POLICIES.glob("*.json")))
def test_a_policy_names_its_actions_and_resources(name: str) -> None:
    # AWS lets these actions be granted on * only.
    alone = {"GetAuthorizationToken", "DescribeJobs", "TerminateJob", "DescribeLogGroups"}
    alone |= {"DescribeResourcePolicies", "PutResourcePolicy"}
    for statement in policy(name)["Statement"]:
        assert not [action for action in statement["Action"] if "*" in action]
        if "*" in statement["Resource"]:
            words = {action.partition(":")[2] for action in statement["Action"]}
            words = {word for word in words if "LogDeliver" not in word}
            assert words - alone <= actions_of_xray(name)


def actions_of_xray(name: str) -> set[str]:
    return {action.partition(":")[2] for action in actions(name) if action.startswith("xray:")}


def test_the_store_is_read_under_its_prefix_only_and_its_key_through_s3_only() -> None:
    for name in ("store-read", "store-push", "store-promote"):
        by_sid = {statement["Sid"]: statement for statement in policy(name)["Statement"]}
        assert by_sid["ListStore"]["Condition"] == {"StringLike": {"s3:prefix": ["depth/*"]}}
        through = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
        assert by_sid["UseKey"]["Condition"] == {"StringEquals": through}


def test_every_variable_of_a_policy_is_filled_in_by_the_modules() -> None:
    modules = "".join(path.read_text() for path in POLICIES.parent.glob("modules/*/*.tf"))
    for path in POLICIES.glob("*.json"):
        for variable in re.findall(r"\$\{(\w+)\}", path.read_text()):
            assert re.search(rf"^\s+{variable}\s+=", modules, re.M), (path.name, variable)
