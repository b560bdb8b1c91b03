"""What a Terraform module refers to is there: variables, locals, resources, inputs, outputs.

`terraform validate` says this and more, but needs the provider.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.places import ROOT

TERRAFORM = ROOT / "infra" / "terraform"
MODULES = sorted(path.parent for path in TERRAFORM.glob("**/main.tf"))


def _text(module: Path) -> str:
    lines = "\n".join(path.read_text() for path in sorted(module.glob("*.tf")))
    return re.sub(r"^\s*#.*$", "", lines, flags=re.M)


def _without_strings(text: str) -> str:
    """Text whose strings are gone, except for what they interpolate."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', lambda found: " ".join(_inside(found[0])), text)


def _inside(string: str) -> list[str]:
    return re.findall(r"\$\{(.*?)\}", string)


def _locals(text: str) -> set[str]:
    found: set[str] = set()
    for block in re.findall(r"^locals \{\n(.*?)^\}", text, re.M | re.S):
        found |= set(re.findall(r"^  (\w+)\s*=", block, re.M))
    return found


def missing(module: Path) -> list[str]:
    """What the module refers to and does not have."""
    text = _text(module)
    bare = _without_strings(text)
    declared = {f"var.{name}" for name in re.findall(r'^variable "(\w+)"', text, re.M)}
    declared |= {f"local.{name}" for name in _locals(text)}
    declared |= {f"module.{name}" for name in re.findall(r'^module "(\w+)"', text, re.M)}
    declared |= {f"{a}.{b}" for a, b in re.findall(r'^resource "(\w+)" "(\w+)"', text, re.M)}
    declared |= {f"data.{a}.{b}" for a, b in re.findall(r'^data "(\w+)" "(\w+)"', text, re.M)}
    used = set(re.findall(r"(?<![\w.])((?:var|local|module)\.\w+)", bare))
    used |= set(re.findall(r"(?<![\w.])(data\.aws_\w+\.\w+)", bare))
    used |= set(re.findall(r"(?<![\w.])(aws_\w+\.\w+)", bare))
    return sorted(used - declared)


def wrong_inputs(module: Path) -> list[str]:
    """Inputs and outputs of called modules that these do not have, or lack."""
    text, found = _text(module), []
    for name, body in re.findall(r'^module "(\w+)" \{\n(.*?)^\}', text, re.M | re.S):
        source = re.search(r'source\s*=\s*"(.*?)"', body)
        assert source is not None
        called = _text((module / source[1]).resolve())
        variables = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', called, re.M | re.S)
        given = set(re.findall(r"^  (\w+)\s*=", body, re.M)) - {"source"}
        found += [f"{name}.{extra}" for extra in given - {each for each, _ in variables}]
        needed = {each for each, block in variables if not re.search(r"^  default ", block, re.M)}
        found += [f"{name}.{lacking}" for lacking in needed - given]
        outputs = set(re.findall(r'^output "(\w+)"', called, re.M))
        found += [use for use in re.findall(rf"module\.{name}\.(\w+)", text) if use not in outputs]
    return sorted(found)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_has_what_it_refers_to(module: Path) -> None:
    assert not missing(module)
    assert not wrong_inputs(module)


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    (tmp_path / "called").mkdir()
    called = 'variable "a" {\n  type = string\n}\n'
    (tmp_path / "called" / "main.tf").write_text(called)
    text = 'module "m" {\n  source = "./called"\n  b = "${var.x}-${aws_lb.y.arn}"\n}\n'
    text += 'output "o" {\n  value = [module.m.z, local.q]\n}\n'
    (tmp_path / "main.tf").write_text(text)
    assert missing(tmp_path) == ["aws_lb.y", "local.q", "var.x"]
    assert wrong_inputs(tmp_path) == ["m.a", "m.b", "z"]


def test_every_variable_is_used() -> None:
    for module in MODULES:
        text = _text(module)
        for name in re.findall(r'^variable "(\w+)"', text, re.M):
            own = re.search(rf'^variable "{name}" \{{\n.*?^\}}', text, re.M | re.S)
            assert own is not None
            assert f"var.{name}" in text.replace(own[0], ""), (module.name, name)
