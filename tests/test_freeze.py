"""The recipe of the frozen program names what is there. The program itself is built by hand."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import openvino

from tests.support.places import ROOT

SPEC = (ROOT / "infra" / "freeze.spec").read_text(encoding="utf-8")


def constant(name: str) -> list[str]:
    """A list or tuple of the recipe."""
    for node in ast.parse(SPEC).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            found: list[str] = list(ast.literal_eval(node.value))
            return found
    raise AssertionError(f"the recipe has no {name}")


def test_openvino_has_the_libraries_that_the_recipe_names() -> None:
    libraries = Path(openvino.__file__).parent / "libs"
    for pattern in constant("BY_NAME"):
        assert list(libraries.glob(pattern)), pattern


def test_no_module_of_serving_needs_what_the_recipe_leaves_out() -> None:
    absent = "".join(f"sys.modules[{name!r}] = None\n" for name in constant("EXCLUDED"))
    code = f"import sys\n{absent}import serve.cli, serve.folder.cli, serve.runtimes.openvino"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_program_has_the_commands_of_serving_and_starts_children_as_python_does() -> None:
    command = [sys.executable, str(ROOT / "infra" / "freeze.py")]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}

    def run(*words: str) -> str:
        done = subprocess.run(
            [*command, *words], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert run("--help").startswith("Usage: depth-serve ")
    assert run("-c", "import sys; print(sys.argv)", "a", "b") == "['-c', 'a', 'b']\n"
