"""Our own code as data: files, what they import, and rules that they may break."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from depth.family import FAMILIES
from tests.support.places import ROOT

STAGES = ("compile", "serve")
DOOR = "depth_anything"
PACKAGES = ("depth", *FAMILIES, *STAGES, DOOR)
SCRIPTS = ("inference.py", "run.py", "main.py", "app.py")
TOOLS = "checkpoints/demo"  # code that is no part of a package


@dataclass(frozen=True)
class Source:
    """A file of Python: its path inside the project, and its text."""

    path: str  # "serve/cli.py"
    text: str

    @property
    def top(self) -> str:
        return self.path.split("/")[0]

    @property
    def module(self) -> str:
        """serve/cli.py is serve.cli, serve/__init__.py is serve."""
        return self.path[: -len(".py")].replace("/", ".").replace(".__init__", "")

    @property
    def tree(self) -> ast.Module:
        return parsed(self.text)

    @property
    def imports(self) -> frozenset[str]:
        """Every module that it imports, at the top or inside, under its full name.

        What is imported from a module counts with its name, since it may be a module too.
        """
        return imports_of(self.text)

    def importing(self, *places: str) -> set[str]:
        """What it imports of these modules or packages and of all below them."""
        return {name for name in self.imports if below(name, places, ".")}


Rule = Callable[[Source], Iterator[str]]  # complaints about a file


@functools.cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


@functools.cache
def imports_of(text: str) -> frozenset[str]:
    found = set()
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def below(name: str, places: Sequence[str], separator: str) -> bool:
    """Whether a name is one of these places or in one: paths with "/", modules with "."."""
    return any(name == place or name.startswith(f"{place}{separator}") for place in places)


def sources(*places: str) -> list[Source]:
    """Files, and all Python files below folders; what does not exist gives none."""
    files = {
        path
        for place in places
        for path in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
        if path.is_file()
    }
    return [
        Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(files)
    ]


def complaints(rule: Rule, files: Sequence[Source]) -> list[str]:
    """What a rule says of many files: a test for each file takes longer than the check."""
    return [f"{file.path}: {said}" for file in files for said in rule(file)]


def room(path: str, levels: int = 2) -> str:
    """The folder or module on a level: serve/folder/cli.py is in serve/folder, serve/cli.py is
    serve/cli.
    """
    parts = Path(path).with_suffix("").parts
    return "/".join(parts[:levels])
