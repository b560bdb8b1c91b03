"""Is this machine fit to compile? Everything that is wrong, each with its fix."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compile.errors import BuildError, HostError
from compile.targets import host
from compile.targets.host import check_host, has_device, version
from depth.chips import SDKS
from tests.support.neuron_standin import GOOD_INF1, pretend_installed

GOOD_INF2 = {
    "torch": "2.7.0",
    "torch-neuronx": "2.7.0.2.10.13553",
    "neuronx-cc": "2.21.18209.0",
    "protobuf": "3.20.3",
}


def test_a_fit_machine_passes_without_a_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host, "DEVICES", tmp_path)
    pretend_installed(monkeypatch, tmp_path / "inf1", GOOD_INF1)
    check_host("inf1")
    pretend_installed(monkeypatch, tmp_path / "inf2", GOOD_INF2)
    check_host("inf2")
    assert not has_device()


@pytest.fixture(autouse=True)
def made_by_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "find_spec", lambda _: None)


@pytest.mark.parametrize(
    ("package", "found", "needed", "fix"),
    [
        ("torch", "1.13.0", "at least 1.13.1 and below 1.13.2", "pip install torch==1.13.1"),
        ("torch", "2.8.0+cu128", "at least 1.13.1", "pip install torch==1.13.1"),
        ("torch-neuron", "1.12.1.2.11.7.0", "at least 1.13.1", "torch-neuron==1.13.1.2.11.13.0"),
        ("numpy", "1.24.0", "at least 1.21.6 and below 1.24", "pip install numpy==1.22.2"),
        ("numpy", "1.21.5", "at least 1.21.6", "pip install numpy==1.22.2"),
        ("protobuf", "4.21.0", "below 3.21", "pip install protobuf==3.19.5"),
        ("tensorflow", "2.10.0", "below 1.16", "pip uninstall tensorflow"),
        ("tensorflow-cpu", "2.10.0", "below 1.16", "pip uninstall tensorflow-cpu"),
    ],
)
def test_a_package_out_of_range_comes_with_its_fix(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    package: str,
    found: str,
    needed: str,
    fix: str,
) -> None:
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF1, package: found})
    with pytest.raises(HostError) as caught:
        check_host("inf1")
    first, line = str(caught.value).splitlines()
    assert first == "this machine cannot compile for inf1:"
    assert line.startswith(f"- {package} is {found}, needed is at least ")
    assert needed in line
    assert fix in line


def test_the_message_lists_everything_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_installed(monkeypatch, tmp_path, {"torch": "2.8.0", "numpy": "2.0.2"})
    monkeypatch.setitem(SDKS, "inf1", replace(SDKS["inf1"], pythons=((3, 10), (3, 11))))
    with pytest.raises(BuildError) as caught:
        check_host("inf1")
    lines = str(caught.value).splitlines()[1:]
    told = [line.split()[1] if " is " in line else line.split()[2] for line in lines]
    assert told[:5] == ["Python", "torch", "torch-neuron", "neuron-cc", "numpy"]
    assert "tensorflow" in told
    assert "make an environment with `python3.10 -m venv`" in lines[0]
    assert "--extra-index-url https://pip.repos.neuron.amazonaws.com" in lines[2]
    assert "'neuron-cc[tensorflow]==1.24.0.0'" in lines[3]


def test_the_second_target_has_needs_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF1, "torch": "2.7.0"})
    with pytest.raises(HostError, match="(?s)for inf2:.*no torch-neuronx.*protobuf is 3.19.5"):
        check_host("inf2")


def test_a_device_is_a_node_of_the_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "DEVICES", tmp_path)
    (tmp_path / "neuron_monitor").touch()
    assert not has_device()
    (tmp_path / "neuron0").touch()
    assert has_device()


def test_a_package_that_is_not_there_has_no_version() -> None:
    assert version("no-such-package-anywhere") is None
    assert version("pytest") == pytest.__version__


@pytest.mark.parametrize(("has_pip", "command"), [(True, "-m pip install"), (False, "uv pip")])
def test_the_fix_is_for_the_environment_that_runs(
    monkeypatch: pytest.MonkeyPatch, has_pip: bool, command: str
) -> None:
    monkeypatch.setattr(host, "find_spec", lambda _: object() if has_pip else None)
    monkeypatch.setattr(host, "version", lambda _: None)
    with pytest.raises(HostError) as caught:
        check_host("inf1")
    assert command in str(caught.value)
    assert sys.executable in str(caught.value)
