"""What `serve doctor` sees: files of a made-up machine, stand-ins for tools, real artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest
import typer
from typer.testing import CliRunner

from depth.artifact.manifest import Artifact
from depth.cpu import read_cpu
from depth.errors import InputError
from serve.doctor.cli import doctor
from serve.doctor.diagnosis import diagnose
from serve.doctor.facts import DAMAGED
from serve.doctor.findings import NOTE, OK, WARNING
from serve.doctor.gather import gather
from serve.doctor.neuron import look
from serve.machine import installed, read_memory
from tests.serve.doctor.test_doctor import CPU, packages
from tests.support import stored_artifacts
from tests.support.neuron_machine import Machine, device, machine_fixture

__all__ = ["machine_fixture"]

Write = Callable[[str, str], None]
app = typer.Typer()
app.command()(doctor)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def test_the_processor_is_the_first_one_listed(tmp_path: Path, write: Write) -> None:
    write("proc/cpuinfo", "model name\t: Xeon A\nflags\t\t: fpu avx2 amx_bf16\n\nmodel name\t: B\n")
    cpu = read_cpu(tmp_path)
    assert cpu.model == "Xeon A"
    assert cpu.features == ("avx2", "amx_bf16")
    assert cpu.cores >= 1


def test_memory_is_what_the_container_may_have(tmp_path: Path, write: Write) -> None:
    write("proc/meminfo", "MemTotal:  8000 kB\nMemAvailable:  6000 kB\n")
    assert read_memory(tmp_path).total_bytes == 8000 * 1024
    write("sys/fs/cgroup/memory.max", "max\n")
    assert read_memory(tmp_path).total_bytes == 8000 * 1024
    write("sys/fs/cgroup/memory.max", "4096000\n")
    found = read_memory(tmp_path)
    assert (found.total_bytes, found.available_bytes) == (4096000, 4096000)


def test_packages_of_this_environment_are_found() -> None:
    found = installed()
    assert found["opencv-python-headless"] == "4.11.0.86"
    assert "torch" in found


def test_a_machine_without_neuron(machine: Machine, tmp_path: Path, write: Write) -> None:
    write("sys/devices/virtual/dmi/id/product_name", "c5.4xlarge\n")
    found = look({"HOME": "/"}, tmp_path)
    assert (found.chip, found.driver, found.devices, found.cores_problem) == (None, None, (), "")
    assert (found.tools, found.system_packages, found.environment) == ({}, {}, {})
    assert machine.folder.is_dir()


def test_an_inf1_instance(machine: Machine, tmp_path: Path, write: Write) -> None:
    machine.says(device())
    write("sys/devices/virtual/dmi/id/product_name", "inf1.xlarge\n")
    write("sys/module/neuron/version", "2.24.13.0\n")
    for name, text in (("modinfo", "2.24.7.0"), ("dpkg-query", "aws-neuronx-tools 2.25.145.0")):
        tool = machine.folder / "on path" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\necho {text}\n")
        tool.chmod(0o755)
    found = look({"NEURON_RT_NUM_CORES": "2", "HOME": "/"}, tmp_path)
    assert (found.chip, found.instance_type) == ("inf1", "inf1.xlarge")
    assert (found.driver, found.driver_on_disk) == ("2.24.13.0", "2.24.7.0")
    assert found.tools == {"neuron-ls": str(machine.folder / "tools/neuron-ls")}
    assert found.system_packages == {"aws-neuronx-tools": "2.25.145.0"}
    assert found.environment == {"NEURON_RT_NUM_CORES": "2"}
    assert len(found.devices[0].core_ids) == 4
    assert found.cores_problem == ""


@pytest.mark.parametrize(
    ("says", "environment", "text"),
    [
        (device(pids=(1,)), {}, "process 1"),
        (device(), {"NEURON_RT_NUM_CORES": "5"}, "there are 4 cores here"),
        (device(), {"NEURON_RT_VISIBLE_CORES": "x"}, "expected a core"),
    ],
    ids=["taken", "too many", "not a core"],
)
def test_why_cores_cannot_be_had(
    says: object, environment: dict[str, str], text: str, machine: Machine, tmp_path: Path
) -> None:
    machine.says(says)
    assert text in look(environment, tmp_path).cores_problem


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [("Inf2", 2, "inf2"), ("Trn1", 2, "inf2"), ("other", 4, "inf1"), ("other", 2, "inf2")],
)
def test_which_chip_it_is(
    name: str, count: int, expected: str, machine: Machine, tmp_path: Path, write: Write
) -> None:
    machine.says(device(count=count))
    write("sys/devices/virtual/dmi/id/product_name", "KVM-9.2")
    family = "sys/devices/virtual/neuron_device/neuron0/info/architecture/instance_type"
    write(family, name)
    assert look({}, tmp_path).chip == expected


def test_a_device_that_may_not_be_opened(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has_nodes("neuron0", "neuron_ctl")
    assert look({}, tmp_path).closed_nodes == ()
    monkeypatch.setattr("os.access", lambda path, _: "dev" not in str(path))  # root may open all
    assert look({}, tmp_path).closed_nodes == (str(machine.folder / "dev/neuron0"),)


@pytest.fixture
def artifacts(tmp_path: Path) -> dict[str, Artifact]:
    """One of each state, and what is none."""
    out = tmp_path / "artifacts"
    made = {
        "verified": stored_artifacts.make(out, target="openvino"),
        "built": stored_artifacts.make(out, target="inf1", passed=None),
        "failed": stored_artifacts.make(out, target="onnx", passed=False),
        "damaged": stored_artifacts.make(out, target="torchscript"),
    }
    (path,) = made["damaged"].folder.glob("programs/*.bin")
    path.write_bytes(bytes(path.stat().st_size))
    (out / ".building-x/programs").mkdir(parents=True)
    (out / "jobs").mkdir()
    (out / "halves" / "programs").mkdir(parents=True)
    return made


def test_artifacts_and_their_state(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    found = {one.folder: one for one in gather(tmp_path / "artifacts").artifacts}
    for state, artifact in artifacts.items():
        assert found[artifact.folder.name].state == state
    assert "damaged or altered" in found[artifacts["damaged"].folder.name].reason
    assert found[artifacts["verified"].folder.name].size_bytes == 16391
    assert found["halves"].state == DAMAGED
    assert "manifest.json" in found["halves"].reason
    assert len(found) == 5


def test_a_folder_that_is_not_there_has_no_artifacts(tmp_path: Path) -> None:
    facts = gather(tmp_path / "not/made/yet")
    assert facts.artifacts == ()
    assert facts.disk_free_bytes > 0
    assert facts.python[:2] == (3, 9)


def test_the_exit_code_is_1_if_there_is_a_problem(
    artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    good, spoilt = tmp_path / "good", tmp_path / "artifacts"
    stored_artifacts.make(good, target="openvino")
    fine = CliRunner().invoke(app, ["--artifacts", str(good)])
    assert fine.exit_code == 0
    assert "no Neuron device: CPU targets only" in fine.stdout
    assert artifacts["damaged"].folder.is_dir()
    ended = CliRunner().invoke(app, ["--artifacts", str(spoilt), "--json"])
    assert ended.exit_code == 1
    findings = json.loads(ended.stdout)["findings"]
    assert [f["topic"] for f in findings if f["level"] == "problem"] == ["artifact", "artifact"]


def test_an_artifact_of_another_identity_is_a_problem(tmp_path: Path) -> None:
    good, wrong = tmp_path / "good", tmp_path / "wrong"
    identity = stored_artifacts.make(good, target="openvino").identity
    stored_artifacts.make(wrong, target="onnx").folder.rename(wrong / "openvino")  # in its place

    def topics(folder: Path, *identities: str) -> list[str]:
        options = [word for each in identities for word in ("--identity", each)]
        ended = CliRunner().invoke(app, ["--artifacts", str(folder), "--json", *options])
        found = json.loads(ended.stdout)["findings"]
        return [f["text"] for f in found if f["level"] == "problem"]

    assert topics(good, identity) == []
    assert topics(wrong) == []
    absent, strange = topics(wrong, identity[:12])
    assert absent == f"none in {wrong} has the identity {identity[:12]}..."
    assert "is none of the given identities" in strange
    with pytest.raises(InputError, match="expected its first 12 digits or more"):
        gather(good, identities=["x"])


def test_a_later_python_is_no_fault_where_only_serving_is_installed() -> None:
    for torch, level in ((None, NOTE), ("2.8.0", WARNING)):
        facts = replace(packages(CPU, torch=torch), python=(3, 12, 1))
        found = [finding.level for finding in diagnose(facts) if finding.topic == "python"]
        assert found == [level]


@pytest.mark.parametrize(
    ("value", "level", "text"),
    [
        (None, OK, "the runtime ends a run after 20 s: serving sets NEURON_RT_EXEC_TIMEOUT"),
        ("7", OK, "after 7 s: NEURON_RT_EXEC_TIMEOUT=7 is set in the environment"),
        ("30", WARNING, "NEURON_RT_EXEC_TIMEOUT=30 is set in the environment: not a time below 30"),
        ("soon", WARNING, "=soon is set in the environment: not a time below 30 s"),
        ("0", WARNING, "=0 is set in the environment: not a time below 30 s"),
    ],
)
def test_the_time_limit_of_a_run_is_told_with_where_it_is_from(
    value: Optional[str], level: str, text: str, machine: Machine, tmp_path: Path
) -> None:
    machine.says(device(0))
    neuron = look({} if value is None else {"NEURON_RT_EXEC_TIMEOUT": value}, tmp_path)
    found = [f for f in diagnose(replace(CPU, neuron=neuron)) if "NEURON_RT_EXEC_TIMEOUT" in f.text]
    assert [finding.level for finding in found] == [level]
    assert text in found[0].text
