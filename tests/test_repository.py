"""What a stranger expects of a repository: licence, version, types, and where they are stated."""

from __future__ import annotations

import re

import pytest
import tomli

import depth_anything
from tests.support.architecture import PACKAGES
from tests.support.fresh_python import run_python
from tests.support.places import ROOT

_VERSION = """
import runpy, sys
sys.argv = [sys.argv[1], "--version"]
sys.path.insert(0, "")
try:
    if sys.argv[0] == "depth":
        from depth_anything.cli import main
        main()
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as ended:
    heavy = {"torch", "openvino", "onnxruntime", "huggingface_hub", "cv2"} & set(sys.modules)
    sys.exit(ended.code or (f"loads {heavy}" if heavy else 0))
"""
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("command", ["main.py", "depth"])
def test_version_option_prints_the_version_without_torch(command: str) -> None:
    done = run_python("-c", _VERSION, command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{depth_anything.__version__}\n"


def test_the_version_has_one_source() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", depth_anything.__version__)
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PROJECT["project"]
    assert PROJECT["tool"]["hatch"]["version"] == {"path": "depth_anything/__init__.py"}
    assert PROJECT["project"]["scripts"] == {"depth": "depth_anything.cli:main"}


def test_changelog_begins_with_unreleased_then_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *released = re.findall(r"^## \[([^\]]+)\]", changelog, re.M)
    assert first == "Unreleased"
    assert not released or released[0] == depth_anything.__version__


def test_the_licence_is_apache_2_everywhere() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.split()[:5] == ["Apache", "License", "Version", "2.0,", "January"]
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert PROJECT["project"]["license-files"] == ["LICENSE"]
    card = (ROOT / "checkpoints/demo/README.md").read_text(encoding="utf-8")
    assert "Apache-2.0" in card


def test_every_package_of_the_wheel_states_that_it_is_typed() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel) == {"packages", "exclude", "force-include"}, "a list could leave py.typed out"
    assert wheel["exclude"] == ["serve/sidecar/rust"]
    assert set(wheel["packages"]) == set(PACKAGES)
    assert [name for name in PACKAGES if not (ROOT / name / "py.typed").is_file()] == []


def test_every_module_of_the_api_is_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("### Python API")[1].split("\n### ")[0]
    modules = re.findall(r"^\| `([\w.]+)` \|", table, re.M)
    assert len(modules) > 5
    places = [ROOT / module.replace(".", "/") for module in modules]
    assert [p for p in places if not (p.with_suffix(".py").is_file() or p.is_dir())] == []
