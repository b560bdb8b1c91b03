"""What infra says twice is the same: chips, versions, commands, names."""

from __future__ import annotations

import json
import re

import pytest

from depth.chips import INSTANCES
from tests.support.places import ROOT

INFRA = ROOT / "infra"
TABLE = json.loads((INFRA / "terraform/instances.json").read_text())
STEPS = json.loads((INFRA / "pipeline/steps.json").read_text())


def pins(name: str) -> dict[str, str]:
    text = (INFRA / "locks" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", text, re.M))


@pytest.mark.parametrize("name", [name for name in INSTANCES if not name.startswith("trn")])
def test_terraform_knows_the_same_instances(name: str) -> None:
    known = INSTANCES[name]
    row = TABLE[name]
    assert (row["chips"], row["cores"], row["vcpus"]) == (known.chips, known.cores, known.vcpus)
    assert name.startswith(row["platform"])


def test_terraform_knows_no_other_instance_with_a_chip() -> None:
    chips = {name for name, row in TABLE.items() if row["platform"] != "cpu"}
    assert chips <= set(INSTANCES)


@pytest.mark.parametrize(("image", "lane"), [("serve-cpu", "cpu"), ("serve-inf1", "inf1")])
def test_an_image_has_the_versions_of_its_lane(image: str, lane: str) -> None:
    wanted = {**pins(lane), **(pins("neuron") if lane == "inf1" else {})}
    own = pins(image)
    assert own
    assert {name: wanted.get(name) for name in own if name != "wheel"} == {
        name: version for name, version in own.items() if name != "wheel"
    }


def test_the_cpu_image_has_no_torch_and_no_image_has_a_test_tool() -> None:
    assert not {"torch", "torchvision"} & set(pins("serve-cpu"))
    assert not {"pytest", "mypy", "ruff", "moto"} & {*pins("serve-cpu"), *pins("serve-inf1")}


def test_no_file_of_infra_names_a_package_registry() -> None:
    names = [("pypi", r"\.org"), ("python", "hosted")]
    names += [("registry", rf"\.{owner}") for owner in ("npmjs", "terraform")]
    hosts = re.compile("|".join(map("".join, names)), re.I)  # apart, so that this file names none
    files = [path for path in INFRA.rglob("*") if path.is_file() and ".terraform" not in path.parts]
    assert files
    assert not [path for path in files if hosts.search(path.read_bytes().decode(errors="replace"))]


def test_torch_neuron_has_one_version() -> None:
    found = set()
    for path in (INFRA / "neuron.sh", INFRA / "containers/serve-inf1.Dockerfile"):
        found |= set(re.findall(r"torch-neuron==([0-9.]+)", path.read_text()))
    assert len(found) == 1


@pytest.mark.parametrize("image", ["serve-cpu", "serve-inf1", "compile"])
def test_an_image_runs_as_nobody_and_has_no_weights(image: str) -> None:
    text = (INFRA / "containers" / f"{image}.Dockerfile").read_text()
    final = text[text.rindex("\nFROM ") :]
    assert "USER 10001:10001" in final
    assert "HEALTHCHECK" in final
    copied = " ".join(re.findall(r"^COPY (.*)", text, re.M))
    assert "checkpoints" not in copied
    assert "artifacts" not in copied


@pytest.mark.parametrize("step", STEPS["steps"])
def test_a_step_calls_commands_that_exist(step: str) -> None:
    get_command = pytest.importorskip("typer.main", reason="no typer here").get_command
    from compile.cli import app

    known = get_command(app).commands  # type: ignore[attr-defined]
    for line in STEPS["steps"][step]["commands"]:
        for name, rest in re.findall(r"python -m compile (\w+)(.*)", line):
            options = {option for parameter in known[name].params for option in parameter.opts}
            assert set(re.findall(r"(--[a-z-]+)", rest)) <= options
        for variable in re.findall(r"\$([A-Z]\w*)", line):
            assert variable in STEPS["variables"]


def test_every_skip_of_checkov_has_a_reason() -> None:
    skips = re.findall(r"^\s+- CKV\S+(.*)$", (INFRA / "check/checkov.yaml").read_text(), re.M)
    for path in (INFRA / "terraform").rglob("*.tf"):
        skips += re.findall(r"checkov:skip=\w+(.*)", path.read_text())
    assert skips
    assert not [reason for reason in skips if len(reason.strip(" #:")) < 20]


def test_descriptions_of_security_groups_have_letters_that_ec2_takes() -> None:
    allowed = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")
    found = []
    for path in (INFRA / "terraform/modules").rglob("*.tf"):
        for block in re.findall(
            r'"aws_[a-z_]*security_group[a-z_]*" .*?\n}', path.read_text(), re.S
        ):
            found += re.findall(r'description += "(.*)"', block)
    assert len(found) > 5
    assert not [text for text in found if not allowed.fullmatch(text)]
