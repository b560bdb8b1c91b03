"""Who may import whom: packages, entry scripts, front ends, and the floors of compile and serve."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

import pytest

from depth.family import FAMILIES
from tests.support.architecture import (
    DOOR,
    PACKAGES,
    SCRIPTS,
    TOOLS,
    Rule,
    Source,
    below,
    complaints,
    room,
    sources,
)

MODULES = sources(*PACKAGES)
OURS = [*MODULES, *sources(*SCRIPTS, TOOLS)]
EVERYTHING = [*OURS, *sources("tests")]

MAY_IMPORT = {
    "depth": ("depth",),
    **{family: ("depth", family) for family in FAMILIES},
    "compile": ("depth", "compile"),
    "serve": ("depth", "serve"),
    DOOR: PACKAGES,
    "checkpoints": ("depth", "checkpoints", FAMILIES[0]),
}
NEVER_IN_SERVE = ("depth.network", "depth.weights.checkpoint", "torch")
# The files of serve that may know torch all the same.
TORCH_IN_SERVE = ("serve/runtimes/neuron.py", "serve/runtimes/neuron_program.py")
TORCH_IN_SERVE = (*TORCH_IN_SERVE, "serve/runtimes/neuronx.py", "serve/runtimes/torchscript.py")
FAMILY_NAMES = re.compile(r"depth_?anything_?(v\d|\d)|\bda3|dino_?v\d", re.IGNORECASE)
FRONT_ENDS = ("bench", "doctor", "fetch", "folder", "masks", "pipeline", "ray", "s3")
FRONT_ENDS = (*FRONT_ENDS, "service", "sidecar")

# Lowest first; an arrow leads down, or stays on its floor in the same room.
COMPILE_FLOORS = (
    ("errors", "products", "shapes_only", "views"),
    ("macs",),
    ("parts",),
    ("graph", "trace", "specialise", "lowering", "untrained"),
    ("targets", "weights"),
    ("source",),
    ("preflight", "parity"),
    ("neuron", "int8"),
    ("build",),
    ("precision", "on_demand", "plan", "imported"),
    ("job",),
    ("weights_cli", "summary"),
    ("cli",),
    ("__main__", "__init__"),
)
SERVE_FLOORS = (
    ("errors", "arrays", "machine"),
    ("shapes", "recipe", "scheduling"),
    ("runtimes", "library"),
    ("backend", "provenance", "sources"),
    ("cores",),
    ("engine",),
    ("jobs",),
    ("scenes", "panoramas"),
    FRONT_ENDS,
    ("sequences",),
    ("start",),
    ("cli",),
    ("__main__", "__init__"),
)


def packages_import_downwards(file: Source) -> Iterator[str]:
    allowed = MAY_IMPORT.get(file.top, ())
    for package in (*PACKAGES, "tests", "checkpoints"):
        if package not in allowed:
            yield from (f"imports {name}" for name in sorted(file.importing(package)))


def serving_needs_no_network(file: Source) -> Iterator[str]:
    if file.top == "serve" and file.path not in TORCH_IN_SERVE:
        yield from (f"imports {name}" for name in sorted(file.importing(*NEVER_IN_SERVE)))


def stages_name_no_family(file: Source) -> Iterator[str]:
    """Not even as text: what names one in a string imports it all the same, or tells it apart."""
    if file.top in ("compile", "serve"):
        for number, line in enumerate(file.text.splitlines(), 1):
            yield from (f"line {number}: {found[0]}" for found in FAMILY_NAMES.finditer(line))


def nobody_imports_scripts(file: Source) -> Iterator[str]:
    names = [script[: -len(".py")] for script in SCRIPTS]
    yield from (f"imports {name}" for name in sorted(file.importing(*names)))


def script_is_one_call(file: Source) -> Iterator[str]:
    imports = (ast.Import, ast.ImportFrom)
    rest = [node for node in file.tree.body if not isinstance(node, imports)]
    if rest and isinstance(rest[0], ast.Expr) and isinstance(rest[0].value, ast.Constant):
        del rest[0]  # the docstring
    if len(rest) != 1 or not isinstance(rest[0], ast.If) or not _is_main(rest[0]):
        yield "is more than one call under `if __name__ == '__main__':`"
    foreign = {name for name in file.imports if not below(name, (DOOR, "__future__"), ".")}
    yield from (f"imports {name}" for name in sorted(foreign))


def _is_main(node: ast.If) -> bool:
    (first, *more), test = node.body, ast.unparse(node.test)
    called = isinstance(first, ast.Expr) and isinstance(first.value, ast.Call)
    return test == "__name__ == '__main__'" and called and not more and not node.orelse


def front_ends_are_strangers(file: Source) -> Iterator[str]:
    own = room(file.path)
    others = [f"serve.{name}" for name in FRONT_ENDS if own != f"serve/{name}"]
    if own in {f"serve/{name}" for name in FRONT_ENDS}:
        yield from (f"imports {name}" for name in sorted(file.importing(*others)))


def up(file: Source, top: str, floors: Sequence[Sequence[str]]) -> Iterator[str]:
    """Imports of a higher floor, or of another room on the same one."""
    if file.top != top:
        return
    here = room(file.path).partition("/")[2]
    level = {name: number for number, floor in enumerate(floors) for name in floor}
    if here not in level:
        yield f"{here} is on no floor yet: put it where its imports lead down"
        return
    for name in sorted(file.importing(top)):
        there = (name.split(".") + [here])[1]
        if there == here or there not in level:  # the second: a name, not a module
            continue
        if level[there] >= level[here]:
            yield f"imports {name}"


def compile_leads_down(file: Source) -> Iterator[str]:
    # Data that is exchanged: modes of a compiler, protocols, and the record of a compiler's run.
    data = ("compile.targets.modes", "compile.targets.protocols", "compile.neuron.record")
    for said in up(file, "compile", COMPILE_FLOORS):
        if not below(said[len("imports ") :], data, "."):
            yield said


def serve_leads_down(file: Source) -> Iterator[str]:
    yield from up(file, "serve", SERVE_FLOORS)


RULES = [
    (packages_import_downwards, [*MODULES, *sources(TOOLS)]),
    (serving_needs_no_network, MODULES),
    (stages_name_no_family, MODULES),
    (nobody_imports_scripts, EVERYTHING),
    (script_is_one_call, sources(*SCRIPTS)),
    (front_ends_are_strangers, MODULES),
    (compile_leads_down, MODULES),
    (serve_leads_down, MODULES),
]
V2 = FAMILIES[0]
BREAKS = [
    (packages_import_downwards, "depth/a.py", f"from {V2}.config import MODELS"),
    (packages_import_downwards, "depth/a.py", "def f():\n    import serve.errors"),
    (packages_import_downwards, "depth/a.py", "import compile.cli"),
    (packages_import_downwards, f"{V2}/a.py", "from compile import trace"),
    (packages_import_downwards, f"{V2}/a.py", "from serve import errors"),
    (packages_import_downwards, f"{V2}/a.py", "import depth_anything.cli"),
    (packages_import_downwards, "compile/x/a.py", f"from {V2}.network import build"),
    (packages_import_downwards, "compile/x/a.py", "from serve.engine import Engine"),
    (packages_import_downwards, "compile/x/a.py", "from depth_anything import DepthPipeline"),
    (packages_import_downwards, "serve/x/a.py", "def f():\n    from compile import on_demand"),
    (packages_import_downwards, "serve/x/a.py", f"import {V2}"),
    (packages_import_downwards, "serve/x/a.py", "from tests.support.engines import engine"),
    (packages_import_downwards, "checkpoints/demo/a.py", "from compile import trace"),
    *(
        (packages_import_downwards, f"{one}/a.py", f"from {other} import config")
        for one in FAMILIES
        for other in FAMILIES
        if one != other
    ),
    (serving_needs_no_network, "serve/engine.py", "import torch"),
    (serving_needs_no_network, "serve/x/a.py", "from depth import network"),
    (serving_needs_no_network, "serve/x/a.py", "from depth.network.vit import Block"),
    (
        serving_needs_no_network,
        "serve/x/a.py",
        "def f():\n    from depth.weights import checkpoint",
    ),
    (stages_name_no_family, "compile/x/a.py", "import_module('depth_anything_v2.network')"),
    (stages_name_no_family, "compile/a.py", "if model.family == 'depth_anything_3': pass"),
    (stages_name_no_family, "serve/x/a.py", "name = 'DINOv2'"),
    (stages_name_no_family, "serve/x/a.py", "if model.startswith('da3'): pass"),
    (stages_name_no_family, "serve/x/a.py", "x = DepthAnythingV2()"),
    (nobody_imports_scripts, "depth_anything/a.py", "from inference import inference"),
    (nobody_imports_scripts, "tests/a.py", "import main"),
    (script_is_one_call, "main.py", "from depth_anything.cli import main\n\nmain()"),
    (script_is_one_call, "main.py", "from serve.cli import x\nif __name__ == '__main__':\n    x()"),
    (
        script_is_one_call,
        "main.py",
        "from depth_anything.cli import x\nif __name__ == '__main__':\n    x()\n    x()",
    ),
    (front_ends_are_strangers, "serve/bench/a.py", "from serve.folder.job import run"),
    (front_ends_are_strangers, "serve/service/a.py", "def f():\n    import serve.pipeline"),
    (front_ends_are_strangers, "serve/pipeline.py", "from serve import folder"),
    (compile_leads_down, "compile/targets/table.py", "from compile.neuron.program import x"),
    (compile_leads_down, "compile/lowering/passes.py", "from compile.preflight.costs import x"),
    (compile_leads_down, "compile/build/build.py", "from compile import job"),
    (compile_leads_down, "compile/preflight/a.py", "from compile.parity.probes import x"),
    (compile_leads_down, "compile/newroom/a.py", "import os"),
    (serve_leads_down, "serve/scheduling/a.py", "from serve.runtimes.program import x"),
    (serve_leads_down, "serve/jobs/a.py", "from serve.folder.outputs import FolderOutputs"),
    (serve_leads_down, "serve/engine.py", "from serve import jobs"),
]
FINE = [
    ("depth/a.py", "from depth.files import x\nimport torch"),
    (f"{V2}/a.py", f"from {V2} import config\nfrom depth.network import vit"),
    ("compile/build/build.py", "from compile.targets import table\nfrom depth.network import vit"),
    ("compile/targets/table.py", "from compile.targets import modes"),
    ("serve/service/app.py", "from serve.engine import Engine\nfrom serve.jobs import stop"),
    ("serve/runtimes/torchscript.py", "import torch"),
    ("serve/folder/cli.py", "from serve.folder import job"),
    ("depth_anything/cli.py", "from compile.cli import app\nfrom serve.cli import app as other"),
    (
        "main.py",
        "'''Doc.'''\nfrom depth_anything.cli import x\nif __name__ == '__main__':\n    x()",
    ),
]


@pytest.mark.parametrize(("rule", "files"), RULES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_file_keeps(rule: Rule, files: list[Source]) -> None:
    assert complaints(rule, files) == []


@pytest.mark.parametrize(("rule", "path", "text"), BREAKS)
def test_rule_complains(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text)))


@pytest.mark.parametrize(("path", "text"), FINE)
def test_rules_accept_correct_files(path: str, text: str) -> None:
    rules = [rule for rule, _ in RULES if rule is not script_is_one_call or path in SCRIPTS]
    rules = [rule for rule in rules if path not in SCRIPTS or rule is not packages_import_downwards]
    assert [said for rule in rules for said in rule(Source(path, text))] == []


def test_every_family_is_checked() -> None:
    assert {file.top for file in MODULES} >= set(FAMILIES)
