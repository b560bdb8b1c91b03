"""One hash over the code that a program's numbers depend on, in whatever folder it is.

From a few entry modules the imports are followed, also those inside functions. What is hashed of a
module is its compiled code: a comment, a docstring or a line break changes nothing. Loads no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from compile.targets.table import target_named

ROOT = Path(__file__).resolve().parent.parent
FAMILY_MODULES = ("config", "layouts", "network")
_ENTRIES = ("compile/build/programs.py", "compile/specialise.py", "compile/lowering/passes.py")
# What a result's numbers depend on beside the programs.
_HOST_ENTRIES = ("depth/preprocess.py", "depth/steps")
_INT8 = "compile/int8"
_IMPORTED = "compile/imported/build.py"
_TRACE = "compile/trace.py"  # of networks in torch
# What measures, reports, stores, fetches, waits or reads images: no number of a program comes from
# it, so that nothing below is hashed or followed. A target's row counts by its passes.
LEFT_OUT = (
    "compile/build/package.py",
    "compile/build/report.py",
    "compile/build/request.py",
    "compile/errors.py",
    "compile/imported/parity.py",
    "compile/neuron/cache.py",
    "compile/neuron/failure.py",
    "compile/targets/host.py",
    "compile/neuron/log.py",
    "compile/neuron/metrics.py",
    "compile/neuron/record.py",
    "compile/neuron/watchdog.py",
    "compile/parity",
    "compile/preflight",
    "compile/source.py",
    "compile/targets/table.py",
    "compile/weights.py",
    "depth/artifact/checks.py",
    "depth/artifact/manifest.py",
    "depth/artifact/probe.py",
    "depth/artifact/strict_json.py",
    "depth/artifact/verification.py",
    "depth/chips.py",
    "depth/command.py",
    "depth/console.py",
    "depth/errors.py",
    "depth/files.py",
    "depth/images",
    "depth/maps",
    "depth/store",
    "depth/weights/download.py",
    "depth/weights/registry.py",
)


def source_sha256(target: str, precision: str, family: str, root: Path = ROOT) -> str:
    """Hex SHA-256 of our code that decides what an artifact computes.

    `target`: a name of compile/targets/table.py; `precision`: one of its precisions; `family`: the
    package of a family. Raises TargetError for an unknown target or precision.
    """
    passes = target_named(target, precision).passes
    return _digest(passes, codes(target, precision, family, root))


def imported_sha256(target: str, root: Path = ROOT) -> str:
    """The same of a file that somebody else exported: its target's builder, and the host steps."""
    row = target_named(target)
    entries = (f"{row.module.replace('.', '/')}.py", _IMPORTED, *_HOST_ENTRIES)
    return _digest((), _reached(entries, (*LEFT_OUT, _INT8, _TRACE), root))


def _digest(passes: tuple[str, ...], found: Iterable[tuple[str, CodeType]]) -> str:
    digest = hashlib.sha256(repr(passes).encode())
    for path, code in sorted(found):
        digest.update(repr((path, _told(code))).encode())
    return digest.hexdigest()


def codes(target: str, precision: str, family: str, root: Path) -> Iterator[tuple[str, CodeType]]:
    """The files that `source_sha256` reads, relative to `root` with forward slashes, compiled."""
    row = target_named(target, precision)
    quantised = row.calibrated.get(precision)
    left_out = LEFT_OUT if quantised else (*LEFT_OUT, _INT8)
    modules = [row.module, *(f"{family}.{name}" for name in FAMILY_MODULES)]
    modules += [quantised.module] if quantised else []
    entries = [*_ENTRIES, *_HOST_ENTRIES, *(f"{name.replace('.', '/')}.py" for name in modules)]
    return _reached(entries, left_out, root)


def _reached(
    entries: Iterable[str], left_out: Iterable[str], root: Path
) -> Iterator[tuple[str, CodeType]]:
    """These files, and all that they import, but for what is left out."""
    packages = _packages(root)
    left = list(_files(entries, root))
    seen = set(left)
    while left:
        file = left.pop()
        code = _compiled(root / file)
        yield file, code
        found = {path for path in _imported(code, packages) if not _below(path, left_out)}
        left += found - seen
        seen |= found


def _files(entries: Iterable[str], root: Path) -> Iterator[str]:
    for entry in entries:
        if entry.endswith(".py"):
            yield entry
        else:
            yield from (path.relative_to(root).as_posix() for path in (root / entry).rglob("*.py"))


def _compiled(path: Path) -> CodeType:
    """The code without docstrings. A syntax tree tells the same and takes five times as long."""
    code: CodeType = compile(path.read_bytes(), "", "exec", dont_inherit=True, optimize=2)
    return code


def _imported(code: CodeType, packages: dict[str, set[str]]) -> Iterator[str]:
    """Files of ours that code imports. What is merely called like a submodule counts as well."""
    for part in _parts(code):
        for name in part.co_names:
            place, _, module = name.replace(".", "/").rpartition("/")
            if module in packages.get(place, ()):
                yield f"{place}/{module}.py"
            if name.replace(".", "/") in packages:
                place = name.replace(".", "/")
                yield from (f"{place}/{m}.py" for m in packages[place].intersection(part.co_names))


def _packages(root: Path) -> dict[str, set[str]]:
    """The folders that are packages, relative to `root`, and their modules."""
    tops = root.glob("*/__init__.py")
    inits = [init for top in tops for init in top.parent.rglob("__init__.py")]
    return {
        init.parent.relative_to(root).as_posix(): {path.stem for path in init.parent.glob("*.py")}
        for init in inits
    }


def _parts(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)


def _told(code: CodeType) -> tuple[Any, ...]:
    """All of code but the places of its lines."""
    constants = tuple(_constant(value) for value in code.co_consts)
    arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    names = code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return arguments, names, constants, code.co_code


def _constant(value: object) -> object:
    if isinstance(value, CodeType):
        return _told(value)
    if isinstance(value, frozenset):  # in an order that differs between processes
        return "frozenset", sorted(map(repr, value))
    return tuple(map(_constant, value)) if isinstance(value, tuple) else repr(value)


def _below(path: str, places: Iterable[str]) -> bool:
    return path.endswith("/cli.py") or any(
        path == place or path.startswith(f"{place}/") for place in places
    )
