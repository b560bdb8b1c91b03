"""Is this machine fit to compile? Everything that is wrong, each with its fix."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compile.errors import BuildError, HostError
from compile.targets import host
from compile.targets.host import check_host, has_device, version
from depth.chips import SDKS
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


@pytest.fixture(autouse=True)
def made_by_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without pip, which is no lane, on a machine without uv."""
    monkeypatch.setattr(host, "find_spec", lambda _: None)
    monkeypatch.setattr(host, "which", lambda _: None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(host, "_ROOT", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)


PINS = (
    "--extra-index-url https://pip.repos.neuron.amazonaws.com torch-neuron==1.13.1.2.11.13.0 "
    "'neuron-cc[tensorflow]==1.24.0.0' numpy==1.22.2 protobuf==3.19.5"
)
INSTALL = f"  uv pip install --python {sys.executable} torch==1.13.1 {PINS}"


def refusal(target: str = "inf1") -> list[str]:
    with pytest.raises(BuildError) as caught:
        check_host(target)
    first, *lines = str(caught.value).splitlines()
    assert first == f"this machine cannot compile for {target}:"
    return lines


@pytest.mark.parametrize(
    ("package", "found", "needed", "commands"),
    [
        ("torch", "1.13.0", "at least 1.13.1 and below 1.13.2", [INSTALL]),
        ("torch", "2.8.0+cu128", "at least 1.13.1", [INSTALL]),
        ("torch-neuron", "1.12.1.2.11.7.0", "at least 1.13.1", [INSTALL]),
        ("numpy", "1.24.0", "at least 1.21.6 and below 1.24", [INSTALL]),
        ("numpy", "1.21.5", "at least 1.21.6", [INSTALL]),
        ("protobuf", "4.21.0", "below 3.21", [INSTALL]),
        (
            "tensorflow",
            "2.10.0",
            "below 1.16",
            [f"  uv pip uninstall --python {sys.executable} tensorflow", INSTALL],
        ),
        (
            "tensorflow-cpu",
            "2.10.0",
            "below 1.16",
            [f"  uv pip uninstall --python {sys.executable} tensorflow-cpu"],
        ),
    ],
)
def test_a_package_out_of_range_comes_with_commands_for_all_pins(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    package: str,
    found: str,
    needed: str,
    commands: list[str],
) -> None:
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF1, package: found})
    line, then, *given = refusal()
    assert line.startswith(f"- {package} is {found}, needed is at least ")
    assert needed in line
    assert then == "Run this, then try again:"
    assert given == commands


def test_the_check_has_words_for_what_has_no_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF1, "torch-neuronx": "2.7.0"})
    (line,) = refusal()
    assert line.endswith(": make one environment for each")


def test_a_risk_is_a_warning_with_its_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF1, "setuptools": "82.0.0"})
    check_host("inf1")
    command = f"uv pip install --python {sys.executable} 'setuptools<70'"
    assert caplog.text.endswith(f"has no pkg_resources: {command}\n")


def test_the_message_lists_everything_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_installed(monkeypatch, tmp_path, {"torch": "2.8.0", "numpy": "2.0.2"})
    lines = refusal()
    told = [line.split()[1] if " is " in line else line.split()[2][:-1] for line in lines[:-2]]
    assert told == ["torch", "torch-neuron", "neuron-cc", "numpy", "tensorflow"]
    assert lines[-1] == INSTALL  # nothing to uninstall: tensorflow is absent


def test_another_python_needs_an_environment_before_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_installed(monkeypatch, tmp_path, {})
    monkeypatch.setitem(SDKS, "inf1", replace(SDKS["inf1"], pythons=((3, 10), (3, 11))))
    lines = refusal()
    assert "make an environment with `python3.10 -m venv`" in lines[0]
    assert "pip install" not in "".join(lines)


def test_the_lane_for_cpus_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend_installed(monkeypatch, tmp_path, {"torch": "2.8.0"})
    monkeypatch.setattr(host, "_ROOT", ROOT)
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))
    *_, then, command = refusal()
    assert then == f"Run this, then try again with {ROOT}/.venv-inf1/bin/python:"
    assert command == f"  bash {ROOT}/infra/setup.sh inf1"


def test_the_uv_is_the_one_that_set_up_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_installed(monkeypatch, tmp_path / "packages", {})
    home, root = tmp_path / "home/.local/bin/uv", tmp_path / "ro ot/.tools/uv/bin/uv"
    monkeypatch.setattr(host, "_ROOT", tmp_path / "ro ot")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for path in (root, home):
        path.parent.mkdir(parents=True)
        path.touch()
        assert refusal()[-1].startswith(f"  {shlex.quote(str(path))} pip install ")
    monkeypatch.setattr(host, "which", lambda _: "/bin/uv")
    assert refusal()[-1].startswith("  /bin/uv pip install ")
    monkeypatch.setenv("UV", "/my/uv")
    assert refusal()[-1].startswith("  /my/uv pip install ")


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


def test_the_check_uses_the_environments_own_pip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host, "find_spec", lambda _: object())
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF1, "tensorflow": "2.10.0"})
    *_, uninstall, install = refusal()
    assert uninstall == f"  {sys.executable} -m pip uninstall -y tensorflow"
    assert install == f"  {sys.executable} -m pip install torch==1.13.1 {PINS}"


def test_the_check_gives_the_pin_for_a_library_of_another_release(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF2, "torch": "2.8.0"})
    line, _, command = refusal("inf2")
    assert line == (
        f"- torch is 2.8.0, but torch-neuronx {GOOD_INF2['torch-neuronx']} is built for torch 2.7"
    )
    assert command == f"  uv pip install --python {sys.executable} 'torch==2.7.*'"
