"""`make setup-neuron` against package indexes of stand-in wheels, in a small environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from depth.chips import INF1, SDKS
from tests.support.neuron_setup import (  # noqa: F401  # a fixture
    KEPT,
    NEURON_CC,
    TORCH_NEURON,
    Machine,
    machine_fixture,
)
from tests.support.places import ROOT
from tests.support.wheels import WRONG, source, wheel


def run(machine: Machine, role: str, **environment: str) -> str:
    """What a run that succeeds prints on stdout."""
    done = machine.setup(role, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(machine: Machine, role: str, **environment: str) -> str:
    """What a run that fails prints on stderr. The next run has to do it all again."""
    done = machine.setup(role, **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert not (machine.checkout / ".venv-inf1/.neuron").exists()
    return done.stderr


def test_a_compile_host_gets_the_compiler_and_only_aws_packages(machine: Machine) -> None:
    machine.lane("setuptools", "82.0.1")  # without pkg_resources, of a hand that upgraded it
    assert re.fullmatch(
        rf"ready: \.venv-inf1 to compile, torch-neuron {TORCH_NEURON}, neuron-cc {NEURON_CC}, "
        r"numpy 1\.22\.2, protobuf 3\.19\.5 \(\d+ s\)\n",
        run(machine, "compile"),
    )
    found = machine.versions()
    assert found["dmlc-tvm"] == "1.19.6.0+0", "of AWS's index, which is asked first"
    assert found["islpy"] == "2021.1", "the registry has a newer one"
    assert found["tensorflow"] == "1.15.5.post1"
    assert found["scipy"] == "1.10.1", "of the registry: AWS's index has none"
    assert {name: found[name] for name in KEPT} == KEPT
    nowhere = {"NEURON_INDEX": "http://127.0.0.1:1", "UV_DEFAULT_INDEX": "http://127.0.0.1:1"}
    again = run(machine, "compile", **nowhere)
    assert again == "ready: .venv-inf1 has AWS's packages, to compile\n"


@pytest.mark.long
def test_a_serving_machine_gets_no_compiler(machine: Machine) -> None:
    run(machine, "compile")
    machine.lane("tensorflow-cpu", "2.10.0")
    machine.lane("torch-neuronx", "2.7.0")
    assert f"to serve, torch-neuron {TORCH_NEURON}, numpy 1.22.2" in run(machine, "serve")
    found = machine.versions()
    assert not {"neuron-cc", "tensorflow", "tensorflow-cpu", "torch-neuronx"} & set(found)
    assert found["torch-neuron"] == TORCH_NEURON


@pytest.mark.long
@pytest.mark.parametrize("setting", ["UV_INDEX", "UV_EXTRA_INDEX_URL", "uv.toml"])
def test_no_other_index_puts_a_package_in_the_place_of_aws(
    machine: Machine, tmp_path: Path, setting: str
) -> None:
    wheel(machine.registry, "torch-neuron", TORCH_NEURON, {"torch_neuron.py": WRONG})
    other = f"{machine.address}/registry"
    (tmp_path / "uv").mkdir()
    if setting == "uv.toml":
        (tmp_path / "uv/uv.toml").write_text(f'[[index]]\nurl = "{other}"\n')
    run(machine, "compile", XDG_CONFIG_HOME=str(tmp_path), **{setting: other})
    assert (machine.site / "torch_neuron.py").read_text() == "import torch\n"
    assert machine.versions()["dmlc-tvm"] == "1.19.6.0+0"


@pytest.mark.long
def test_a_package_that_was_changed_by_hand_is_put_right(machine: Machine) -> None:
    run(machine, "compile")
    machine.lane("tensorflow", "2.10.0")
    run(machine, "compile")
    assert machine.versions()["tensorflow"] == "1.15.5.post1"


@pytest.mark.long
def test_a_placeholder_that_is_installed_is_replaced(machine: Machine) -> None:
    wheel(machine.registry, "torch-neuron", TORCH_NEURON, {"torch_neuron.py": WRONG})
    told = refusal(machine, "serve", NEURON_INDEX=f"{machine.address}/registry")
    assert "placeholder: the public registry has packages of AWS's names" in told
    assert "NEURON_INDEX=URL" in told
    run(machine, "serve")  # of the same version, from AWS's index
    assert (machine.site / "torch_neuron.py").read_text() == "import torch\n"


@pytest.mark.long
def test_a_placeholder_that_refuses_to_be_built_is_recognised(machine: Machine) -> None:
    (machine.aws / "dmlc-tvm/dmlc_tvm-1.19.6.0+0-py3-none-any.whl").unlink()
    source(machine.aws, "dmlc-tvm", "1.19.6.0")
    told = refusal(machine, "compile")
    assert "placeholder: the public registry has packages of AWS's names" in told


@pytest.mark.long
def test_nothing_of_aws_names_is_built_from_source(machine: Machine) -> None:
    shutil.rmtree(machine.aws / "torch-neuron")
    source(machine.aws, "torch-neuron", TORCH_NEURON)
    told = refusal(machine, "serve")
    assert "WRONG PACKAGE" not in told, "its code did not run"
    assert "AWS's packages could not be installed; see above." in told


@pytest.mark.long
@pytest.mark.parametrize("silent", ["aws", "elsewhere"])
def test_an_index_without_the_packages_changes_nothing(machine: Machine, silent: str) -> None:
    machine.lane("torch-neuron", "1.13.1.2.10.12.0")
    before = machine.versions()
    shutil.rmtree(machine.aws)
    index = {"aws": f"{machine.address}/aws", "elsewhere": "http://127.0.0.1:1"}[silent]
    told = refusal(machine, "serve", NEURON_INDEX=index)
    assert f"{index}; another index: NEURON_INDEX=URL" in told
    assert "behind a proxy set HTTPS_PROXY" in told
    assert machine.versions() == before


@pytest.mark.long
@pytest.mark.parametrize(
    ("package", "version", "files", "what"),
    [
        ("torch-neuron", TORCH_NEURON, {"torch_neuron.py": "import gone"}, "import torch_neuron"),
        ("tensorflow", "1.15.5.post1", {"tensorflow.py": "1 / 0"}, "import tensorflow"),
        ("neuron-cc", NEURON_CC, {"neuron_cc.py": ""}, "/.venv-inf1/bin/neuron-cc --help"),
    ],
)
def test_a_package_that_does_not_work_is_named(
    machine: Machine, package: str, version: str, files: Mapping[str, str], what: str
) -> None:
    needs = ["tensorflow", 'numpy; extra == "tensorflow"'] if package == "neuron-cc" else []
    wheel(machine.aws, package, version, files, *needs, tool="neuron-cc" if needs else "")
    told = refusal(machine, "compile")
    assert re.search(rf"fails although AWS's packages are installed: .*{what}\n", told)
    assert "Delete .venv-inf1 and run this again" in told


@pytest.mark.long
def test_setuptools_without_pkg_resources_is_named(machine: Machine) -> None:
    (machine.site / "pkg_resources.py").unlink()
    assert "import pkg_resources\nDelete .venv-inf1" in refusal(machine, "serve")


def test_a_role_is_compile_or_serve(machine: Machine) -> None:
    command = ["bash", "infra/neuron.sh", "train"]
    done = subprocess.run(command, cwd=machine.checkout, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "usage: infra/neuron.sh compile|serve\n")
    told = machine.setup("").stderr
    assert "ROLE is missing. For example: make setup-neuron ROLE=compile" in told


def test_a_renewed_environment_says_how_to_get_the_packages_back(machine: Machine) -> None:
    stamp = machine.checkout / ".venv-inf1/.neuron"
    stamp.write_text("compile 0123\n")
    (machine.checkout / ".venv-inf1/.ready").write_text("other locks\n")
    for path, text in {"cv2.py": "", "torchvision.py": "", "depth_anything_v2.py": ""}.items():
        (machine.site / path).write_text(text)
    (machine.site / "numpy.py").write_text("__version__ = '1.23.5'\n")
    (machine.site / "torch/__init__.py").write_text("__version__ = '1.13.1'\n")
    uv = machine.checkout / "uv"
    uv.write_text("#!/bin/sh\necho uv 0.9.0\n")
    uv.chmod(0o755)
    environment = {**os.environ, "UV": str(uv), "PYTHON39": sys.executable}
    command = ["bash", "infra/setup.sh", "inf1"]
    done = subprocess.run(
        command, cwd=machine.checkout, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("They come back with: make setup-neuron ROLE=compile\n")
    assert not stamp.exists()


def test_pins_of_set_up_are_in_every_range_of_the_table() -> None:
    script = (ROOT / "infra/neuron.sh").read_text(encoding="utf-8")
    locks = "".join((ROOT / f"infra/locks/{name}.txt").read_text() for name in ("inf1", "neuron"))
    pins = dict(re.findall(r"^([a-z-]+)==([0-9.]+)", locks, re.M))  # the later lock counts
    pins.update(re.findall(r"\b([a-z]+-[a-z]+)(?:\[tensorflow\])?==([0-9.]+)", script))
    assert pins["torch-neuron"] == TORCH_NEURON
    assert pins["neuron-cc"] == NEURON_CC
    kept = re.search(r"'\^\((.*)\)==", script)
    assert kept
    assert {"torch", "torchvision", "setuptools"} == set(kept[1].split("|"))
    judged = [row for row in SDKS[INF1].requirements if row.package in pins]
    assert {row.package for row in judged} >= {"numpy", "protobuf", "setuptools", "torch"}
    assert [row for row in judged if row.refuses(pins[row.package])] == []


def test_the_page_names_one_command_per_machine_and_both_ways_to_the_driver() -> None:
    page = (ROOT / "infra/README.md").read_text(encoding="utf-8")
    assert "pip install" not in page
    commands = set(re.findall(r"^make setup-neuron ROLE=(\w+)", page, re.M))
    assert commands == {"compile", "serve"}
    for line in ("sudo apt-get install .*'aws-neuronx-dkms=2.24.*'", "sudo yum install .*-2.24"):
        assert re.search(line, page), line
    assert "Architecture not found 1" in page
