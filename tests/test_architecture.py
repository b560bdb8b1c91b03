"""The rules of the code base, file by file: names, sizes, and packages that not everybody has."""

from __future__ import annotations

import ast
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli

from tests.support.architecture import (
    PACKAGES,
    SCRIPTS,
    TOOLS,
    Rule,
    Source,
    complaints,
    sources,
)
from tests.support.places import ROOT

MODULES = sources(*PACKAGES)
OURS = [*MODULES, *sources(*SCRIPTS, TOOLS)]
EVERYTHING = [*OURS, *sources("tests")]

MAX_LINES, MAX_FUNCTION_LINES, MAX_MODULES = 300, 60, 16

# Packages that not everybody has: the files that may know them.
OPTIONAL = {
    "boto3": {"depth/store/s3.py"},
    "nncf": {"compile/int8/nncf.py"},
    "openvino": {"compile/targets/openvino.py", "serve/runtimes/openvino.py"},
    "onnxruntime": {"compile/targets/onnx.py", "serve/runtimes/onnxruntime.py"},
    "torch_neuron": {"compile/neuron/inf1.py", "serve/runtimes/neuron.py"},
    "torch_neuronx": {"compile/neuron/inf2.py", "serve/runtimes/neuronx.py"},
}
# Packages of an HTTP service: the folder that may know them.
OF_FOLDER = {
    name: "serve/service/"
    for name in ("fastapi", "google", "grpc", "prometheus_client", "starlette", "uvicorn")
}
# Others: at most one file of each package.
OTHER_OPTIONAL = ("av", "gradio", "matplotlib", "onnx", "ray", "torchvision", "transformers")


def absolute_imports(file: Source) -> Iterator[str]:
    yield from (f"relative import {name}" for name in file.imports if name.startswith("."))


def no_hidden_builtin(file: Source) -> Iterator[str]:
    if "compile" in set(bindings(file.tree)):
        yield "hides the builtin compile"


def bindings(tree: ast.AST) -> Iterator[str]:
    """Every name that a file binds at the level of the module or of a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


def short(file: Source) -> Iterator[str]:
    lines = len(file.text.splitlines())
    if lines > MAX_LINES:
        yield f"{lines} lines"
    for node in ast.walk(file.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{node.name} has {length} lines"


def no_assert_and_no_print(file: Source) -> Iterator[str]:
    for node in ast.walk(file.tree):
        where = f"line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Assert):
            yield f"{where}: assert"
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            yield f"{where}: print"
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{where}: except:"


def no_optional_module_by_import(file: Source) -> Iterator[str]:
    """What knows an optional package is loaded on use: text in a table, never an import."""
    users = {Source(user, "").module for files in OPTIONAL.values() for user in files}
    yield from (f"imports {name}" for name in sorted(file.imports & users))


RULES = [
    (absolute_imports, EVERYTHING),
    (no_hidden_builtin, EVERYTHING),
    (short, EVERYTHING),
    (no_assert_and_no_print, [*MODULES, *sources(*SCRIPTS)]),
    (no_optional_module_by_import, OURS),
]
BREAKS = [
    (absolute_imports, "from . import x"),
    (absolute_imports, "def f():\n    from ..x import y"),
    *(
        (no_hidden_builtin, line)
        for line in (
            "import compile",
            "import compile.cli",
            "import os as compile",
            "from compile import compile",
            "compile = 1",
            "for compile in (): pass",
            "def compile(): pass",
            "class compile: pass",
            "def f(compile): pass",
            "def f(*compile): pass",
            "lambda compile: 0",
            "[0 for compile in ()]",
            "with open('') as compile: pass",
            "try: pass\nexcept OSError as compile: pass",
        )
    ),
    (short, "\n" * (MAX_LINES + 1)),
    (short, "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES),
    (no_assert_and_no_print, "def f():\n    assert x"),
    (no_assert_and_no_print, "print()"),
    (no_assert_and_no_print, "try: pass\nexcept: pass"),
    (no_optional_module_by_import, "def f():\n    from compile.targets import openvino"),
    (no_optional_module_by_import, "import serve.runtimes.neuron"),
    (no_optional_module_by_import, "from depth.store.s3 import Bucket"),
]


@pytest.mark.parametrize(("rule", "files"), RULES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_file_keeps(rule: Rule, files: list[Source]) -> None:
    assert complaints(rule, files) == []


@pytest.mark.parametrize(("rule", "text"), BREAKS)
def test_rule_complains(rule: Rule, text: str) -> None:
    assert list(rule(Source("serve/example.py", text)))


def test_rules_accept_correct_files() -> None:
    file = Source("serve/x.py", "from compile.cli import app\nx.compile = compile('')\n" * 150)
    assert {name for name in bindings(file.tree)} == {"app"}
    assert [said for rule, _ in RULES for said in rule(file)] == []


def test_the_rules_have_files_to_check() -> None:
    assert len(MODULES) > 200
    assert {"depth", "compile", "serve"} <= {file.top for file in MODULES}
    assert {"inference.py", "run.py", "main.py"} <= {file.path for file in OURS}


def users_of_optional(files: list[Source]) -> dict[str, set[str]]:
    users = defaultdict(set)
    for file in files:
        for name in file.imports:
            users[name.split(".")[0]].add(file.path)
    return users


def knows_too_many(users: dict[str, set[str]]) -> list[str]:
    wrong = [f"{n}: {users[n]}" for n, ok in OPTIONAL.items() if not users.get(n, set()) <= ok]
    for name, folder in OF_FOLDER.items():
        outside = sorted(path for path in users.get(name, ()) if not path.startswith(folder))
        wrong += [f"{name}: {outside}"] * bool(outside)
    for name in OTHER_OPTIONAL:
        tops = Counter(path.split("/")[0] for path in users.get(name, ()))
        wrong += [f"{name}: {users[name]}" for count in tops.values() if count > 1][:1]
    return wrong


def test_an_optional_package_is_known_to_one_module_of_each_package() -> None:
    users = users_of_optional(OURS)
    assert knows_too_many(users) == []
    assert [name for name in OPTIONAL if not users[name]] == [], "no longer used"
    assert knows_too_many({"openvino": {"serve/engine.py"}})
    assert knows_too_many({"fastapi": {"serve/service/app.py", "serve/engine.py"}})
    assert not knows_too_many({"fastapi": {"serve/service/app.py", "serve/service/routes.py"}})
    assert knows_too_many({"ray": {"serve/ray/job.py", "serve/ray/cli.py"}})
    assert not knows_too_many({"onnx": {"serve/a.py", "compile/a.py"}})


def folder_problems(files: list[str]) -> list[str]:
    """Folders with a stage's name inside others, and folders with too many modules."""
    folders = Counter(str(Path(file).parent) for file in files if not file.endswith("__.py"))
    return [
        *(f"{f}: {n} modules" for f, n in folders.items() if n > MAX_MODULES),
        *(f for f in folders if {"compile", "serve"} & set(Path(f).parts[1:])),
    ]


def test_folders_are_small_and_only_the_stages_have_their_names() -> None:
    assert folder_problems([file.path for file in MODULES]) == []
    assert folder_problems([f"serve/x/m{i}.py" for i in range(MAX_MODULES + 1)])
    assert folder_problems(["depth/compile/a.py"])
    assert folder_problems(["infra/serve/a.py"])
    assert not folder_problems(
        [*(f"serve/m{i}.py" for i in range(MAX_MODULES)), "serve/__init__.py"]
    )


def test_the_packages_are_listed_in_the_project_file() -> None:
    project = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    there = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert there <= set(PACKAGES)
    listed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(listed) == there
    assert {*project["tool"]["mypy"]["packages"]} == {*there, "checkpoints.demo"}
    assert set(project["tool"]["ruff"]["lint"]["isort"]["known-first-party"]) == there


def pages() -> Iterator[Path]:
    """Every page of the project; folders such as .venv are not walked, as they are large."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in files if name.endswith(".md"))


def test_pages_name_files_that_are_there() -> None:
    """A link inside the project that leads nowhere."""
    dead = []
    for page in pages():
        for link in re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not (page.parent / link).exists():
                dead.append(f"{page.relative_to(ROOT)}: {link}")
    assert dead == []
