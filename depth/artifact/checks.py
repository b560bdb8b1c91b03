"""Checks of a manifest beyond its fields' types, and of the places of its files."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from depth.artifact.steps import SCENE, RunStage
from depth.errors import ArtifactError
from depth.files import reading

if TYPE_CHECKING:
    from depth.artifact.manifest import Manifest
    from depth.artifact.program import Numbers, OutputFacts, ProgramFile


def check(manifest: Manifest) -> None:
    """Raise ValueError unless the parts of a manifest fit each other."""
    if not manifest.programs or not all(program.files for program in manifest.programs):
        raise ValueError("no programs, or a program without files")
    if not manifest.runs:
        raise ValueError("field steps runs no stage")
    names = [program.name for program in manifest.programs]
    if len(set(names)) < len(names):
        raise ValueError("two programs have one name")
    for program in manifest.programs:
        letters = program.shape
        for letter in "BSHW":
            if letters.get(letter, 0) < 1:
                raise ValueError(f"program {program.name}: shape has no {letter} of at least 1")
        for tensor in (*program.inputs, *program.outputs):
            unknown = [axis for axis in tensor.axes if not axis.isdigit() and axis not in letters]
            if unknown or not tensor.axes:
                raise ValueError(f"program {program.name}: axes {tensor.axes!r} of {tensor.name}")
    if not manifest.keys:
        raise ValueError("no programs that can be run from images to every output")
    if len(manifest.runs) > 1:
        for problem in _incomplete(manifest):
            raise ValueError(problem)
    if manifest.gate.passed:
        rows = [(program.name, program.measured or {}) for program in manifest.programs]
        over = ", ".join(over_limits(manifest.gate.limits, manifest.outputs, rows))
        if over:
            raise ValueError(f"field gate.passed is true, though {over}")


def _incomplete(manifest: Manifest) -> Iterator[str]:
    """Each size of a model of scenes whose stages do not make one, and numbers of views that the
    manifest does not say.
    """
    runs = [step for step in manifest.steps if isinstance(step, RunStage)]
    of_scenes = {step.stage for step in runs if step.per == SCENE}
    views: set[int] = set()
    for size in dict.fromkeys(program.size for program in manifest.programs):
        own = [program for program in manifest.programs if program.size == size]
        there = {stage: {p.views for p in own if p.stage == stage} for stage in manifest.runs}
        counts = [there[stage] for stage in manifest.runs if stage in of_scenes]
        missing = [stage for stage, found in there.items() if not found]
        if missing or any(found != counts[0] for found in counts):
            yield f"programs of {size[0]}x{size[1]} px make no scenes: by stage and views {there}"
        views.update(*counts)
    told = {manifest.views.least, manifest.views.most}
    if views and {min(views), max(views)} != told:
        yield f"field views is {told}, though the programs are of {sorted(views)} views"


def over_limits(
    limits: Mapping[str, Mapping[str, float]],
    outputs: Iterable[OutputFacts],
    measured: Iterable[tuple[str, Mapping[str, Numbers]]],
) -> Iterator[str]:
    """Each output without a limit, and each figure that is missing or not within its limit.

    measured  name and figures of each program
    """
    for output in outputs:
        if not limits.get(output.name):
            yield f"{output.name} has no limit"
    for program, by_output in measured:
        for output_name, by_name in limits.items():
            figures = by_output.get(output_name, {})
            for name, limit in by_name.items():
                value = figures.get(name)
                if value is None or not 0 <= value <= limit:
                    yield f"{program}: {output_name} {name} is {value} (limit {limit:g})"


def check_size(folder: Path, file: ProgramFile) -> None:
    path = inside(folder, file.path)
    if not path.is_file():
        raise ArtifactError(f"{path}: missing; compile or copy the artifact again")
    found = path.stat().st_size
    if found != file.size_bytes:
        raise ArtifactError(
            f"{path}: {found} bytes, the manifest says {file.size_bytes}; "
            "compile or copy the artifact again"
        )


def inside(folder: Path, name: str) -> Path:
    """`folder / name`, refused if it could lead anywhere else."""
    pure = PurePosixPath(name)
    root = folder.resolve()
    try:
        path = (root / pure).resolve()
    except (ValueError, RuntimeError, OSError) as error:  # a zero byte, links in a circle
        raise ArtifactError(f"{folder}: file path {name!r} is not usable: {error}") from error
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or root not in path.parents:
        raise ArtifactError(f"{folder}: file path {name!r} leads out of the folder; refused")
    return path


def private(folder: Path, files: Sequence[ProgramFile]) -> list[memoryview]:
    """Read-only copies of files in an artifact's folder: nobody can alter them or cut them short.

    Each is of an anonymous `mmap`, whose memory returns to the system when it is closed.
    """
    paths = [inside(folder, file.path) for file in files]  # all of them, before a file is opened
    views = []
    for path, file in zip(paths, files):
        try:
            with reading(path) as opened:
                copy = mmap.mmap(-1, file.size_bytes)
                whole = opened.readinto(copy) == file.size_bytes and not opened.read(1)
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: cannot be read ({error}); compile again") from error
        if not whole:
            raise ArtifactError(
                f"{path}: does not have the {file.size_bytes} bytes that the manifest says; the "
                "file is damaged or altered: compile or copy the artifact again"
            )
        views.append(memoryview(copy).toreadonly())
    return views


def build_command(found: Mapping[str, Any]) -> str:
    """The command that builds an artifact of another format again, from its manifest."""
    words = [
        f"--{name} {found[name]}"
        for name in ("model", "target", "precision")
        if isinstance(found.get(name), str) and found[name].replace("-", "").isalnum()
    ]
    return " ".join(["python -m compile build", *words])
