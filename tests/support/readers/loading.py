"""Code of a checkout, without the packages around it."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def module(path: Path) -> Any:
    """A module of a checkout, without the packages around it."""
    spec = importlib.util.spec_from_file_location(f"consumer_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def pieces(path: Path, names: Sequence[str], around: Mapping[str, Any]) -> dict[str, Any]:
    """Classes and functions of a file, at any depth, without what the file imports.

    around  what they find in the place of the imports
    """
    found = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name in names
    ]
    assert {node.name for node in found} == set(names), path
    made = dict(around)
    exec(compile(ast.Module(found, []), str(path), "exec"), made)  # noqa: S102
    return made
