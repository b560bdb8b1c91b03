"""Checkpoint in, verified artifact out: specialise, build, parity, package."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

import torch

from compile.errors import BuildError, ParityError
from compile.package import package, provenance_versions
from compile.parity import ProbeResult, failure, measure, worst
from compile.probes import Picture, probes
from compile.report import ProgramReport, write_reports
from compile.specialise import specialise
from compile.targets import Builder, Target, builder, target_named
from depth_anything_v2.artifact import (
    FORMAT,
    CheckpointFacts,
    Manifest,
    ParityLimit,
    Preprocess,
    Program,
    ProgramFile,
)
from depth_anything_v2.checkpoint import Checkpoint
from depth_anything_v2.config import PATCH_PX, Model
from depth_anything_v2.digest import sha256_file
from depth_anything_v2.errors import InputError
from depth_anything_v2.network import DepthAnything
from depth_anything_v2.preprocess import INTERPOLATION, MEAN, REFERENCE, STD

logger = logging.getLogger(__name__)
Step = Callable[[str], None]  # called with what begins now, in words


@dataclass(frozen=True)
class Request:
    """Everything that decides what an artifact holds."""

    model: Model
    checkpoint: Checkpoint
    target: str
    precision: str
    sizes: Sequence[tuple[int, int]]  # (height, width) in px
    batches: Sequence[int] = (1,)
    photographs: Sequence[Picture] = ()  # for the parity gate, beside its own test images
    force: bool = False  # write the artifact although its parity failed

    def shapes(self) -> Iterator[tuple[tuple[int, int], int]]:
        for size in dict.fromkeys(self.sizes):
            for batch in dict.fromkeys(self.batches):
                yield size, batch


@dataclass
class _Built:
    programs: list[Program] = field(default_factory=list)
    reports: list[ProgramReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def build(request: Request, out: Path, on_step: Step = lambda _: None) -> Path:
    """Build, prove and package; returns the artifact's folder in `out`.

    Raises ParityError if a saved program is too far from the eager network (unless forced) and
    BuildError, TargetError, CheckpointError or InputError if it does not get that far. Nothing is
    left in `out` then.
    """
    target = target_named(request.target, request.precision)
    maker = builder(target)
    for batch in request.batches:
        if batch < 1:
            raise InputError(f"batch {batch}: must be at least 1")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(
            f"{out}: no folder for artifacts: {error.strerror}; name another"
        ) from error
    with tempfile.TemporaryDirectory(dir=out, prefix=".building-") as scratch:
        folder = Path(scratch) / "artifact"
        (folder / "programs").mkdir(parents=True)
        built = _build_programs(request, target, maker, folder, on_step)
        if built.failures and not request.force:
            raise ParityError("; ".join(built.failures))
        manifest = _manifest(request, target, maker, built)
        write_reports(folder, manifest, built.reports)
        return package(folder, manifest, out)


def _build_programs(
    request: Request, target: Target, maker: Builder, folder: Path, on_step: Step
) -> _Built:
    built = _Built()
    network: Optional[DepthAnything] = None
    for size, batch in request.shapes():
        name = f"{size[0]}x{size[1]}-b{batch}"
        on_step(f"{name}: specialise")
        if network is None:
            network = specialise(request.model, request.checkpoint, size)
        else:
            network.fix_size(*size)
        program, report, problem = _build_program(
            request, target, maker, network, folder / "programs" / name, batch, on_step
        )
        built.programs.append(program)
        built.reports.append(report)
        if problem:
            built.failures.append(f"{name}: {problem}")
    if not built.programs:
        raise BuildError("no size to build: give at least one --size HEIGHTxWIDTH")
    return built


def _build_program(
    request: Request,
    target: Target,
    maker: Builder,
    network: DepthAnything,
    stem: Path,
    batch: int,
    on_step: Step,
) -> tuple[Program, ProgramReport, Optional[str]]:
    height, width = network.size
    on_step(f"{stem.name}: build for {target.name}")
    started = time.perf_counter()
    files = maker.build(network, torch.zeros(batch, 3, height, width), stem)
    build_s = time.perf_counter() - started
    on_step(f"{stem.name}: parity of the saved program with the eager network")
    started = time.perf_counter()
    results = _check(request, maker, network, files, batch)
    parity_s = time.perf_counter() - started
    numbers = worst(results)
    problem = failure(numbers, target.limits[request.precision])
    program = Program(
        "fused", height, width, batch, "float32", "float32", _described(files), numbers
    )
    return program, ProgramReport(stem.name, build_s, parity_s, results), problem


def _check(
    request: Request, maker: Builder, network: DepthAnything, files: list[Path], batch: int
) -> list[ProbeResult]:
    run = maker.load(files, request.precision)
    return measure(network, run, probes(network.size, request.photographs), batch)


def _described(files: Sequence[Path]) -> tuple[ProgramFile, ...]:
    return tuple(
        ProgramFile(f"programs/{file.name}", sha256_file(file), file.stat().st_size)
        for file in files
    )


def _manifest(request: Request, target: Target, maker: Builder, built: _Built) -> Manifest:
    limit = target.limits[request.precision]
    return Manifest(
        format=FORMAT,
        family=request.model.family,
        model=request.model.name,
        kind=request.model.kind,
        max_depth_m=request.model.max_depth_m,
        checkpoint=CheckpointFacts(
            request.checkpoint.name, request.checkpoint.sha256, request.checkpoint.licence
        ),
        preprocess=Preprocess(
            REFERENCE, MEAN, STD, INTERPOLATION, request.model.short_side_px, PATCH_PX, ()
        ),
        target=target.name,
        precision=request.precision,
        compiler_flags=maker.flags(request.precision),
        versions={**provenance_versions(), **maker.versions()},
        parity_limit=ParityLimit(limit.max_rel, limit.mean_rel, passed=not built.failures),
        programs=tuple(built.programs),
    )
