"""The state machine of compile-then-deploy, as Terraform makes it from the steps' one file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import ROOT

STEPS = json.loads((ROOT / "infra/pipeline/steps.json").read_text())
pytestmark = [
    pytest.mark.skipif("CHECK_INFRA" not in os.environ, reason="made by `make check-infra`"),
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform here"),
]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("infra")
    folder = root / "terraform/modules/definition"
    shutil.copytree(ROOT / "infra/terraform/modules/definition", folder)
    shutil.copytree(ROOT / "infra/pipeline", root / "pipeline")
    arns = {
        step: f"arn:aws:batch:us-east-1:123456789012:job-queue/{step}" for step in STEPS["steps"]
    }
    values = {
        "name": "depth",
        "job_definitions": arns,
        "queues": arns,
        "cluster_arn": "arn:aws:ecs:us-east-1:123456789012:cluster/depth",
        "services": {"0": "arn:aws:ecs:us-east-1:123456789012:service/depth/depth-0"},
        "url": "https://depth.example",
        "store": "s3://depth-artifacts/depth",
    }
    (folder / "v.auto.tfvars.json").write_text(json.dumps(values))
    for words in (["init"], ["apply", "-auto-approve"]):
        _terraform(folder, *words, "-input=false")
    found: dict[str, Any] = json.loads(_terraform(folder, "output", "-raw", "json"))
    return found


def _terraform(folder: Path, *words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "TF_CLI_CONFIG_FILE"}
    done = subprocess.run(
        ["terraform", f"-chdir={folder}", *words],
        env={**kept, "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _next(state: dict[str, Any]) -> set[str]:
    found = {state[key] for key in ("Next", "Default") if key in state}
    found |= {choice["Next"] for choice in state.get("Choices", [])}
    return found | {catch["Next"] for catch in state.get("Catch", [])}


def _reached(machine: dict[str, Any], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _next(machine["States"][name])
    return seen


def test_aws_would_take_it(machine: dict[str, Any]) -> None:
    import boto3
    from botocore.exceptions import ClientError
    from moto import mock_aws

    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        client = boto3.client("stepfunctions", "us-east-1", **keys)
        role = "arn:aws:iam::123456789012:role/depth-pipeline"
        made = client.create_state_machine(name="d", definition=json.dumps(machine), roleArn=role)
        assert made["stateMachineArn"]
        broken = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Nothing"}}})
        with pytest.raises(ClientError, match="Nothing"):
            client.create_state_machine(name="e", definition=broken, roleArn=role)


def test_every_state_is_reached_and_every_path_ends(machine: dict[str, Any]) -> None:
    assert _reached(machine, machine["StartAt"]) == set(machine["States"])
    for name, state in machine["States"].items():
        if state["Type"] not in ("Succeed", "Fail"):
            assert {"Done", "Failed"} & _reached(machine, name), name


def test_every_step_of_the_file_is_a_state_with_its_own_job(machine: dict[str, Any]) -> None:
    for step in STEPS["steps"]:
        state = machine["States"][step.title()]
        assert state["Parameters"]["JobDefinition"].endswith(f"/{step}")
    environment = machine["States"]["Compile"]["Parameters"]["ContainerOverrides"]["Environment"]
    given = {pair["Name"] for pair in environment} | {"CODE", "DEPTH_TOKEN"}
    assert given == set(STEPS["variables"])


def test_the_states_follow_each_other_as_the_file_says(machine: dict[str, Any]) -> None:
    for name, (after, failed) in STEPS["flow"].items():
        state = machine["States"][name]
        assert state["Next"] == after
        assert [catch["Next"] for catch in state["Catch"]] == [failed]
        retries = sum(retry["MaxAttempts"] for retry in state.get("Retry", []))
        assert 1 + retries == STEPS["attempts"].get(name, 1)
    assert set(machine["States"]) == {*STEPS["flow"], "Begin", "Done", "Failed"}


def test_what_fails_before_the_promotion_leaves_production_alone() -> None:
    for name in ("Compile", "Parity", "Remember", "Promote"):
        assert STEPS["flow"][name][1] == "Failed"


def test_what_fails_after_it_moves_the_alias_back_and_deploys() -> None:
    for name in ("Deploy", "Smoke"):
        assert STEPS["flow"][name][1] == "Rollback"
    assert STEPS["flow"]["Rollback"] == ["DeployBefore", "Failed"]
    assert STEPS["flow"]["DeployBefore"] == ["Failed", "Failed"]
