"""`serve doctor` on made-up machines: each known bad combination, and machines that are right."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from depth.cpu import Cpu
from serve.doctor.diagnosis import as_json, diagnose, has_problem, table
from serve.doctor.facts import ArtifactFacts, Facts, Neuron
from serve.doctor.findings import LEVELS, NOTE, PROBLEM, WARNING, Finding
from serve.doctor.packages import RULES
from serve.machine import Memory
from serve.runtimes.neuron_cores import Device
from tests.support.places import ROOT

GIB = 1 << 30
NOTHING = Neuron(None, (), (), None, None, {}, {}, {}, "")
CPU = Facts(
    system="Ubuntu 22.04.5 LTS, kernel 6.8.0",
    libc=("glibc", "2.35"),
    python=(3, 9, 18),
    cpu=Cpu("Xeon", 4, ("avx2", "avx512f", "avx512_bf16")),
    memory=Memory(8 * GIB, 6 * GIB),
    packages={
        "torch": "2.8.0+cpu",
        "openvino": "2025.3.0",
        "numpy": "2.0.2",
        "opencv-python-headless": "4.11.0.86",
    },
    neuron=NOTHING,
    artifacts_folder="artifacts",
    artifacts=(ArtifactFacts("a", "openvino", "bf16", "verified", "", 10**8),),
    disk_free_bytes=50 * GIB,
)
INF1 = replace(
    CPU,
    packages={
        "torch": "1.13.1",
        "torch-neuron": "1.13.1.2.11.13.0",
        "torchvision": "0.14.1",
        "neuron-cc": "1.24.0.0",
        "tensorflow": "1.15.5.post1",
        "setuptools": "69.5.1",
        "numpy": "1.22.2",
        "protobuf": "3.19.5",
        "opencv-python-headless": "4.11.0.86",
    },
    neuron=Neuron(
        instance_type="inf1.xlarge",
        devices=(Device(0, (0, 1, 2, 3), 8 * GIB, ()),),
        closed_nodes=(),
        driver="2.24.13.0",
        driver_on_disk="2.24.13.0",
        tools={
            "neuron-ls": "/opt/aws/neuron/bin/neuron-ls",
            "neuron-monitor": "/opt/aws/neuron/bin/neuron-monitor",
        },
        system_packages={"aws-neuronx-dkms": "2.24.13.0", "aws-neuronx-tools": "2.25.145.0"},
        environment={},
        cores_problem="",
    ),
    artifacts=(ArtifactFacts("a", "inf1", "all-bf16", "verified", "", 10**8),),
)
INF2 = replace(
    INF1,
    packages={
        "torch": "2.7.1",
        "torch-neuronx": "2.7.0.2.10.1",
        "numpy": "1.26.4",
        "protobuf": "3.20.3",
        "opencv-python-headless": "4.11.0.86",
    },
    neuron=replace(
        INF1.neuron,
        instance_type="inf2.xlarge",
        devices=(Device(0, (0, 1), 32 * GIB, ()),),
        driver="2.27.4.0",
        driver_on_disk="2.27.4.0",
        system_packages={"aws-neuronx-runtime-lib": "2.28.23.0", "aws-neuronx-tools": "2.26.1"},
    ),
    artifacts=(ArtifactFacts("a", "inf2", "matmult-bf16", "verified", "", 10**8),),
)


def packages(facts: Facts, **changes: Any) -> Facts:
    """With other versions, None for a package that is not there; _ for - in names."""
    named = {name.replace("_", "-"): version for name, version in changes.items()}
    both = {**facts.packages, **named}
    return replace(facts, packages={n: v for n, v in both.items() if v is not None})


def neuron(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, neuron=replace(facts.neuron, **changes))


def artifact(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, artifacts=(replace(facts.artifacts[0], **changes),))


def system(facts: Facts, **versions: str) -> Facts:
    named = {f"aws-neuronx-{name.replace('_', '-')}": text for name, text in versions.items()}
    return neuron(facts, system_packages={**facts.neuron.system_packages, **named})


def bad(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level in (WARNING, PROBLEM)]


@pytest.mark.parametrize("facts", [CPU, INF1, INF2], ids=["cpu", "inf1", "inf2"])
def test_a_machine_that_is_right_has_nothing_to_complain_of(facts: Facts) -> None:
    findings = diagnose(facts)
    assert bad(findings) == []
    assert not has_problem(findings)
    assert table(findings).endswith("0 problems, 0 warnings")


def test_no_neuron_device_is_plain_information() -> None:
    (found,) = (finding for finding in diagnose(CPU) if finding.topic == "neuron")
    assert found == Finding(NOTE, "neuron", "no Neuron device: CPU targets only")


def test_devices_cores_and_memory_are_told() -> None:
    said = [finding.text for finding in diagnose(INF1) if finding.topic == "devices"]
    assert said == ["inf1.xlarge: 1 devices, 4 NeuronCores, 8 GiB on them"]
    hidden = neuron(INF1, devices=(Device(0, (0, 1, 2, 3), None, ()),), instance_type=None)
    said = [finding.text for finding in diagnose(hidden) if finding.topic == "devices"]
    assert said == ["inf1: 1 devices, 4 NeuronCores"]


COMPILE, SERVE = (
    f"^make -C {re.escape(shlex.quote(str(ROOT)))} setup-neuron ROLE={role}$"
    for role in ("compile", "serve")
)

CASES: Mapping[str, tuple[Facts, str, str, str]] = {
    # facts, level, what it says, what it advises
    "torch 2": (packages(INF1, torch="2.8.0"), PROBLEM, r"h 2\.8\.0 beside torch-n", COMPILE),
    "no torch": (packages(INF1, torch=None), PROBLEM, "no torch beside", COMPILE),
    "torchvision": (packages(INF1, torchvision="0.23.0"), WARNING, r"0\.14 goes", COMPILE),
    "numpy too new": (packages(INF1, numpy="1.24.0"), PROBLEM, "API version", COMPILE),
    "numpy too old": (packages(INF1, numpy="1.20.3"), PROBLEM, "API version", COMPILE),
    "protobuf too new": (packages(INF1, protobuf="4.25.1"), PROBLEM, "generated", COMPILE),
    "tensorflow 2": (packages(INF1, tensorflow="2.10.0"), PROBLEM, "TensorFlow 2", COMPILE),
    "tensorflow-cpu 2": (packages(INF1, tensorflow_cpu="2.10"), PROBLEM, "breaks", COMPILE),
    "both SDKs": (packages(INF1, torch_neuronx="1.13.1"), PROBLEM, "for each", COMPILE),
    "setuptools": (packages(INF1, setuptools="80.0"), WARNING, "setuptools", COMPILE),
    "setuptools 82": (packages(INF1, setuptools="82.0.1"), PROBLEM, "pkg_resources", COMPILE),
    "torch 2, serving": (packages(INF1, torch="2", neuron_cc=None), PROBLEM, "h 2 beside", SERVE),
    "python, inf2": (replace(INF2, python=(3, 12, 1)), PROBLEM, r"nx is made for", r"python3\.9"),
    "python 3.12": (replace(INF1, python=(3, 12, 1)), PROBLEM, "made for 3.9", r"python3\.9"),
    "python 3.10, tested nowhere": (
        replace(CPU, python=(3, 10, 1)),
        WARNING,
        r"only 3\.9 is tested",
        "make setup",
    ),
    "protobuf too old for inf2": (packages(INF2, protobuf="3.19.5"), PROBLEM, "3.20", ">=3.20"),
    "torch of another neuronx": (packages(INF2, torch="2.8.0"), PROBLEM, "for torch 2.7", r"2\.7"),
    "old neuron": (packages(INF1, torch_neuron="1.12.1.2"), PROBLEM, "torch-neuron 1.12", COMPILE),
    "old compiler": (packages(INF1, neuron_cc="1.12.0"), PROBLEM, "neuron-cc 1.12", COMPILE),
    "new torch": (packages(INF2, torch="2.10", torch_neuronx="2.10"), PROBLEM, "^torch 2", "2.7"),
    "opencv": (packages(CPU, opencv_python_headless="4.12.0.88"), WARNING, "differently", "11.0"),
    "two opencvs": (packages(CPU, opencv_python="4.11.0.86"), WARNING, "overwrite", "uninstall"),
    "boto3": (packages(CPU, boto3="1.42.97"), WARNING, "Python 3.9", r"below 1\.43"),
    "driver too new": (neuron(INF1, driver="2.25.4.0"), PROBLEM, "2.24 is the last", r"=2\.24\.\*"),
    "driver too old": (neuron(INF1, driver="2.18.12.0"), WARNING, "2.21 and 2.24", r"=2\.24\.\*"),
    "driver not loaded": (
        neuron(INF1, driver=None, devices=()),
        PROBLEM,
        "no version of a loaded driver",
        "modprobe",
    ),
    "driver hidden": (neuron(INF1, driver=None), WARNING, "no version", "container may hide"),
    "another driver on disk": (
        neuron(INF1, driver_on_disk="2.26.5.0"),
        WARNING,
        r"2\.24\.13\.0 is loaded, 2\.26\.5\.0 is on disk",
        "rmmod",
    ),
    "no device": (neuron(INF1, devices=()), PROBLEM, "inf1.xlarge, and no device", "--device"),
    "closed node": (neuron(INF1, closed_nodes=("/dev/neuron0",)), PROBLEM, "not open", "666"),
    "cores taken": (neuron(INF1, cores_problem="process 7 has"), PROBLEM, "7", "end the other"),
    "runtime-lib on inf1": (
        system(INF1, runtime_lib="2.24.53.0"),
        PROBLEM,
        "Inf1 was removed from it",
        "remove aws-neuronx-runtime-lib",
    ),
    "no runtime-lib on inf2": (
        neuron(INF2, system_packages={"aws-neuronx-dkms": "2.24"}),
        PROBLEM,
        "cannot start",
        "install aws-neuronx-runtime-lib",
    ),
    "no torch-neuron": (packages(INF1, torch_neuron=None), PROBLEM, "cannot be loaded", SERVE),
    "no neuronx": (packages(INF2, torch_neuronx=None), PROBLEM, "no torch-neuronx", "pip inst"),
    "no tools": (neuron(INF1, tools={}), WARNING, "no neuron-ls and no neuron-monitor", r"2\.\*"),
    "no monitor": (
        neuron(INF1, tools={"neuron-ls": "/usr/bin/neuron-ls"}),
        WARNING,
        "no neuron-monitor: ",
        "aws-neuronx-tools",
    ),
    "tools for another libc": (
        replace(system(INF1, tools="2.26.7.0"), libc=("glibc", "2.26")),
        WARNING,
        r"needs glibc 2\.34",
        r"2\.25\.145\.0",
    ),
    "old variable": (
        neuron(INF1, environment={"NEURONCORE_GROUP_SIZES": "1"}),
        WARNING,
        "NEURONCORE_GROUP_SIZES",
        "NEURON_RT_NUM_CORES",
    ),
    "images on disk": (
        neuron(INF1, environment={"NEURON_RT_DBG_DUMP_INPUTS_ON_ERR": "1003"}),
        WARNING,
        "images of failed runs",
        "unset",
    ),
    "old cpu": (replace(CPU, cpu=Cpu("Atom", 2, ())), WARNING, "not even avx2", "AVX2"),
    "no bf16": (replace(CPU, cpu=Cpu("X", 2, ("avx2",))), WARNING, "slower than fp32", "fp32"),
    "little memory": (replace(CPU, memory=Memory(GIB, GIB)), WARNING, r"1\.0 GiB av", "smaller"),
    "little disk": (replace(CPU, disk_free_bytes=GIB // 2), WARNING, r"0\.5 GiB free", "delete"),
    "no disk": (replace(CPU, disk_free_bytes=1000), PROBLEM, "too little", "delete"),
    "damaged": (artifact(CPU, state="damaged", reason="sha256 1"), PROBLEM, "sha256 1", "again"),
    "failed": (artifact(CPU, state="failed"), WARNING, "numbers are wrong", "again"),
    "built": (artifact(INF1, state="built"), WARNING, "never measured", "parity a --on-device"),
    "no package": (packages(CPU, openvino=None), WARNING, "openvino is not inst", "make setup"),
    "unknown target": (artifact(CPU, target="tpu"), WARNING, "tpu is unknown", "version"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_combination_is_named_with_its_fix(name: str) -> None:
    facts, level, text, advice = CASES[name]
    findings = diagnose(facts)
    found = [finding for finding in bad(findings) if re.search(text, finding.text)]
    assert [finding.level for finding in found] == [level], findings
    assert re.search(advice, found[0].advice)
    assert has_problem(findings) == any(finding.level == PROBLEM for finding in findings)


def test_every_package_rule_is_provoked() -> None:
    cases = [facts for facts, _, _, _ in CASES.values()]
    said = [finding.text for facts in cases for finding in bad(diagnose(facts))]
    assert [rule for rule in RULES if not any(rule.why in text for text in said)] == []


def test_warnings_and_problems_all_say_what_to_do() -> None:
    for facts, _, _, _ in CASES.values():
        for finding in diagnose(facts):
            assert finding.level in LEVELS
            assert bool(finding.advice) or finding.level not in (WARNING, PROBLEM)


def test_a_program_of_another_chip_is_no_fault() -> None:
    findings = diagnose(replace(CPU, artifacts=INF1.artifacts))
    assert bad(findings) == []
    assert any("runs on inf1 only" in f.text and f.level == NOTE for f in findings)


def test_no_artifacts_is_no_fault() -> None:
    findings = diagnose(replace(CPU, artifacts=()))
    assert bad(findings) == []
    assert any("none in artifacts" in finding.text for finding in findings)


def test_telemetry_is_told_and_no_fault() -> None:
    findings = diagnose(packages(CPU, openvino_telemetry="2025.2.0"))
    assert bad(findings) == []
    assert any("never loads it" in finding.text for finding in findings)


def test_json_holds_findings_and_facts() -> None:
    found = json.loads(as_json(INF1, diagnose(INF1)))
    assert found["facts"]["neuron"]["driver"] == "2.24.13.0"
    assert found["findings"][0]["level"] == "ok"


def test_the_table_has_the_advice_below_its_finding() -> None:
    text = table([Finding(PROBLEM, "a", "one", "do"), Finding(WARNING, "bc", "two", "that")])
    assert text.splitlines() == [
        "problem  a   one",
        "             → do",
        "warning  bc  two",
        "             → that",
        "",
        "1 problems, 1 warnings",
    ]
