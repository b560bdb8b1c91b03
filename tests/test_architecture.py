"""The rules of the code base: who imports whom, what stays light, and what stays small."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable

import pytest

from tests.fresh_python import ROOT, run_python

PACKAGES = ("depth", "depth_anything_v2", "compile", "serve")
TOOLS = ("checkpoints/demo",)  # code that is no part of a package
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).glob("**/*.py"))
SCRIPTS = sorted(ROOT.glob("*.py"))
TOOL_FILES = sorted(path for folder in TOOLS for path in (ROOT / folder).glob("**/*.py"))
TESTS = sorted((ROOT / "tests").glob("**/*.py"))
OURS = [*MODULES, *SCRIPTS, *TOOL_FILES]

# What may load torch, as files or folders. All else outside compile/ must load without it.
HEAVY = (
    "depth/network",
    "depth/weights/checkpoint.py",
    "depth_anything_v2/dpt.py",
    "depth_anything_v2/layouts.py",
    "depth_anything_v2/network.py",
    "serve/runtimes/neuron.py",
    "serve/runtimes/neuron_program.py",
    "serve/runtimes/neuronx.py",
    "serve/runtimes/torchscript.py",
)
# Of compile, what must load without torch.
LIGHT_COMPILE = (
    "build/package",
    "build/request",
    "cli",
    "errors",
    "on_demand",
    "targets/table",
    "weights",
    "weights_cli",
)

# Packages that not everybody has: the one file of each package of ours that may know them.
OPTIONAL = {
    "nncf": {"compile/int8/nncf.py"},
    "openvino": {"compile/targets/openvino.py", "serve/runtimes/openvino.py"},
    "onnxruntime": {"compile/targets/onnx.py", "serve/runtimes/onnxruntime.py"},
    "torch_neuron": {"compile/neuron/inf1.py", "serve/runtimes/neuron.py"},
    "torch_neuronx": {"compile/neuron/inf2.py", "serve/runtimes/neuronx.py"},
}
OTHER_OPTIONAL = {"boto3", "botocore", "fastapi", "onnx", "ray", "starlette", "transformers"}
OTHER_OPTIONAL |= {"matplotlib", "torchvision", "uvicorn"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def named(path: Path) -> str:
    """serve/cli.py is serve.cli."""
    return relative(path)[: -len(".py")].replace("/", ".")


def tree(path: Path) -> ast.Module:
    return parsed(path.read_text(encoding="utf-8"))


@functools.cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


@functools.cache
def imports(path: Path) -> list[tuple[str, ast.stmt]]:
    """Every module that a file imports, at the top or inside, under its full name."""
    found: list[tuple[str, ast.stmt]] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(("." * node.level + (node.module or ""), node))
    return found


def imported_from(path: Path, package: str) -> set[str]:
    names = {name for name, _ in imports(path)}
    return {name for name in names if name == package or name.startswith(f"{package}.")}


Check = Callable[[Path], None]


def every(paths: Sequence[Path]) -> Callable[[Check], Callable[[], None]]:
    """One test over many files, which names those that fail.

    A test for each of them would take pytest longer than the check.
    """

    def of(check: Check) -> Callable[[], None]:
        @functools.wraps(check)
        def test() -> None:
            failures = []
            for path in paths:
                try:
                    check(path)
                except AssertionError as error:
                    failures.append(f"{relative(path)}: {error}")
            assert not failures, "\n".join(failures)

        del test.__wrapped__  # pytest would see its parameter
        return test

    return of


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 50
    assert {"inference.py", "run.py", "main.py"} <= {path.name for path in SCRIPTS}


@every(MODULES)
def test_packages_import_in_one_direction(path: Path) -> None:
    allowed = {
        "depth": {"depth", "depth_anything_v2"},
        "depth_anything_v2": {"depth", "depth_anything_v2"},
        "compile": {"compile", "depth", "depth_anything_v2"},
        "serve": {"serve", "depth", "depth_anything_v2"},
    }[relative(path).split("/")[0]]
    for package in {*PACKAGES, "tests", "checkpoints"} - allowed:
        assert not imported_from(path, package)


@every([p for p in MODULES if "serve/" in relative(p)])
def test_serving_never_imports_the_network(path: Path) -> None:
    names = {name.replace(".", "/") for name, _ in imports(path)}
    assert not {name for name in names if heavy(f"{name}.py") and not name.startswith("serve/")}
    assert not imported_from(path, "torch") or heavy(relative(path))


@every(TOOL_FILES)
def test_making_the_demo_checkpoint_needs_only_the_model_and_the_preview(path: Path) -> None:
    assert not imported_from(path, "compile")
    assert imported_from(path, "serve") <= {"depth.maps.preview"}


@every([*OURS, *TESTS])
def test_nobody_imports_an_entry_script_but_the_one_that_joins_them(path: Path) -> None:
    names = {name.split(".")[0] for name, _ in imports(path)}
    found = names & {script.stem for script in SCRIPTS}
    assert found <= ({"inference", "run"} if relative(path) == "main.py" else set())


@every([*OURS, *TESTS])
def test_imports_are_absolute_and_hide_no_builtin(path: Path) -> None:
    for name, node in imports(path):
        assert not name.startswith("."), f"line {node.lineno}: a relative import"
    assert "compile" not in set(bindings(path)), "hides the builtin compile"


def bindings(path: Path) -> Iterator[str]:
    """Every name that a file binds at the level of the module or of a function."""
    for node in ast.walk(tree(path)):
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


def test_the_check_of_bindings_sees_each_kind(tmp_path: Path) -> None:
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
    ):
        (tmp_path / "example.py").write_text(line)
        assert "compile" in set(bindings(tmp_path / "example.py")), line
    (tmp_path / "example.py").write_text("from compile.cli import app\nx.compile = compile('')\n")
    assert set(bindings(tmp_path / "example.py")) == {"app"}


def test_an_optional_package_is_known_to_one_module_of_each_package() -> None:
    users = defaultdict(set)
    for path in OURS:
        for name, _ in imports(path):
            users[name.split(".")[0]].add(relative(path))
    for name, allowed in OPTIONAL.items():
        assert users[name] == allowed, name
    for name in OTHER_OPTIONAL:
        by_package = [
            relative(Path(user)).split("/")[0] for user in map(ROOT.joinpath, users[name])
        ]
        assert len(by_package) == len(set(by_package)), f"{name}: {users[name]}"


@every([path for path in OURS if path.name != "__main__.py"])
def test_modules_that_know_an_optional_package_are_loaded_on_use_only(path: Path) -> None:
    """They appear as text in a table, never in an import statement."""
    for users in OPTIONAL.values():
        for user in users:
            assert named(ROOT / user) not in {name for name, _ in imports(path)}


def heavy(file: str) -> bool:
    return any(file == place or file.startswith(f"{place}/") for place in HEAVY)


def light_modules() -> list[str]:
    light = [relative(p) for p in MODULES if not relative(p).startswith("compile/")]
    light = [p for p in light if not heavy(p) and not p.endswith(("__main__.py", "__init__.py"))]
    return [named(ROOT / p) for p in [*light, *(f"compile/{name}.py" for name in LIGHT_COMPILE)]]


def test_what_needs_no_torch_loads_without_it() -> None:
    names = light_modules()
    for name in ("depth.artifact.manifest", "depth.preprocess", "serve.bench.network"):
        assert name in names
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules:\n"
        "        sys.exit(f'{name} loads torch')\n"
    )
    done = run_python("-W", "error", "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


_IMPORT_EVERYTHING = """
import importlib, sys
quiet = True
def hook(event, arguments):
    if quiet and event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print(name, "opens the network:", event, arguments)
sys.addaudithook(hook)
for name in {names}:
    importlib.import_module(name)
"""


@pytest.mark.parametrize(
    "packages",
    [
        ("depth", "depth_anything_v2", "compile", "."),
        ("serve",),
    ],
    ids=" ".join,
)
def test_importing_anything_prints_nothing_and_opens_no_network(packages: tuple[str, ...]) -> None:
    scripts = [path.name for path in SCRIPTS if "." in packages]
    files = [
        path
        for path in [*MODULES, *SCRIPTS]
        if relative(path).split("/")[0] in {*packages, *scripts}
    ]
    names = [named(path) for path in files if path.stem not in ("__main__", "__init__")]
    done = run_python("-W", "error", "-c", _IMPORT_EVERYTHING.format(names=names))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@every([*OURS, *TESTS])
def test_files_and_functions_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"


@every([*MODULES, *SCRIPTS])
def test_no_assert_and_no_print(path: Path) -> None:
    for node in ast.walk(tree(path)):
        where = f"line {getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"{where}: assert"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{where}: print"
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"{where}: except:"
