"""Is this machine fit to compile? Everything that is wrong, and the command against it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tomli
from packaging.specifiers import SpecifierSet

from compile.errors import BuildError, HostError
from compile.targets import host
from compile.targets.host import check_host, has_device, version
from depth import chips
from depth.chips import SDKS, install_command
from tests.support.neuron_standin import GOOD_INF1, pretend_installed
from tests.support.places import ROOT

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


INF1_LINES = [
    "Run this, then try again with .venv-inf1/bin/python of that checkout:",
    f"  make -C {shlex.quote(str(ROOT))} setup-neuron ROLE=compile",
]
INF2_LINES = [
    "Run this in an environment of Python 3.9 or 3.10 or 3.11, then try again:",
    "  pip install --extra-index-url https://pip.repos.neuron.amazonaws.com "
    "'torch-neuronx==2.7.0.2.10.*' 'neuronx-cc==2.21.*' 'torch==2.7.*' 'protobuf>=3.20'",
]


def refusal(target: str = "inf1") -> list[str]:
    with pytest.raises(BuildError) as caught:
        check_host(target)
    first, *lines = str(caught.value).splitlines()
    assert first == f"this machine cannot compile for {target}:"
    return lines


@pytest.mark.parametrize(
    ("package", "found", "needed"),
    [
        ("torch", "1.13.0", "at least 1.13.1 and below 1.13.2"),
        ("torch", "2.8.0+cu128", "at least 1.13.1"),
        ("torch-neuron", "1.12.1.2.11.7.0", "at least 1.13.1"),
        ("numpy", "1.24.0", "at least 1.21.6 and below 1.24"),
        ("numpy", "1.21.5", "at least 1.21.6"),
        ("protobuf", "4.21.0", "below 3.21"),
        ("tensorflow", "2.10.0", "below 1.16"),
        ("tensorflow-cpu", "2.10.0", "below 1.16"),
        ("setuptools", "82.0.1", "below 82: torch.utils.cpp_extension of torch 1.13 imports pkg_"),
    ],
)
def test_a_package_out_of_range_comes_with_the_command_for_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, found: str, needed: str
) -> None:
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF1, package: found})
    line, *given = refusal()
    assert line.startswith(f"- {package} is {found}, needed is ")
    assert needed in line
    assert given == INF1_LINES


def test_the_two_sdks_do_not_go_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF1, "torch-neuronx": "2.7.0"})
    line, *given = refusal()
    assert line.endswith(": make one environment for each")
    assert given == INF1_LINES


def test_a_risk_is_a_warning_with_its_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF1, "setuptools": "81.0.0"})
    check_host("inf1")
    assert "setuptools is 81.0.0, needed is below 70: the comp" in caplog.text
    assert caplog.text.endswith(f"with 69.5: {INF1_LINES[1].strip()}\n")


def test_the_message_lists_everything_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"torch": "2.8.0", "numpy": "2.0.2"}
    monkeypatch.setattr(host, "version", found.get)
    lines = refusal()
    told = [line.split()[1] if " is " in line else line.split()[2][:-1] for line in lines[:-2]]
    absent = ["tensorflow", "setuptools"]
    assert told == ["torch", "torch-neuron", "neuron-cc", "numpy", "protobuf", *absent]
    assert lines[-2:] == INF1_LINES


@pytest.mark.parametrize("target", SDKS)
@pytest.mark.parametrize("minor", range(8, 15))
def test_the_check_and_the_metadata_accept_the_same_pythons(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str, minor: int
) -> None:
    pretend_installed(monkeypatch, tmp_path, {"inf1": GOOD_INF1, "inf2": GOOD_INF2}[target])
    monkeypatch.setattr(sys, "version_info", (3, minor, 0, "final", 0))
    if (3, minor) in SDKS[target].pythons:
        check_host(target)
        project = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert f"3.{minor}.0" in SpecifierSet(project["requires-python"])
    else:
        line, *given = refusal(target)
        assert line.startswith(f"- Python is 3.{minor}, needed is 3.9 or 3.10")
        assert given == {"inf1": INF1_LINES, "inf2": INF2_LINES}[target]


def test_the_command_can_be_pasted_from_anywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(chips, "_ROOT", tmp_path)
    assert install_command("inf1", "serve") == "make -C CHECKOUT setup-neuron ROLE=serve"
    checkout = tmp_path / "a {place}'s $HOME"
    checkout.mkdir()
    (checkout / "Makefile").write_text("setup-neuron:\n\t@echo got $(ROLE)\n")
    monkeypatch.setattr(chips, "_ROOT", checkout)
    command = install_command("inf1", "serve")
    environment = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL"}}
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert "got serve" in done.stdout.splitlines(), done.stderr


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


def test_a_library_of_another_release_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF2, "torch": "2.8.0"})
    line, *given = refusal("inf2")
    assert line == (
        f"- torch is 2.8.0, but torch-neuronx {GOOD_INF2['torch-neuronx']} is built for torch 2.7"
    )
    assert given == INF2_LINES
