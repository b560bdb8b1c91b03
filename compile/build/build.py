"""Checkpoint in, verified artifact out: specialise, lower, preflight, build, parity, package."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from compile.build.package import package, provenance_versions, scratch_in
from compile.build.programs import Proven, Step, Workshop
from compile.build.report import ProgramReport, write_reports
from compile.build.request import Request
from compile.errors import BuildError, ParityError
from compile.int8.layers import ADVICE, check_float_layers
from compile.lowering.passes import with_forms
from compile.parity.measure import failure, stem_name, worst
from compile.specialise import specialise
from compile.targets.protocols import Builder, Limit
from compile.targets.table import (
    Target,
    builder,
    calibration_versions,
    quantiser,
    ready,
    target_named,
)
from depth.artifact.manifest import (
    FORMAT,
    CheckpointFacts,
    Manifest,
    ParityLimit,
    Preprocess,
    Program,
    ProgramFile,
)
from depth.errors import InputError, first_line
from depth.family import PATCH_PX
from depth.files import sha256_file
from depth.preprocess import (
    INTERPOLATION,
    MEAN,
    NORMALISATION,
    REFERENCE,
    STD,
)
from depth_anything_v2.network import DepthAnything

_FULL_BYTES = 1 << 20  # a disk with less room than this is full


@dataclass
class _Built:
    programs: list[Program] = field(default_factory=list)
    reports: list[ProgramReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def build(request: Request, out: Path, on_step: Step = lambda _: None) -> Path:
    """Build, prove and package; returns the artifact's folder in `out`.

    Raises ParityError if a saved program is too far from the eager network (unless forced) and
    BuildError, PreflightError, TargetError, CheckpointError or InputError if it does not get that
    far. Nothing is left in `out` then.
    """
    target = target_named(request.target, request.precision)
    ready(target, request.precision)
    maker = builder(target)
    _check(request, target)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(
            f"{out}: no folder for artifacts: {error.strerror}; name another"
        ) from error
    with _writable(out), scratch_in(out) as scratch, _roomy(out):
        folder = scratch / "artifact"
        (folder / "programs").mkdir(parents=True)
        built = _build_programs(request, target, maker, folder, on_step)
        if built.failures and not request.force:
            raise ParityError("; ".join(built.failures) + (ADVICE if request.quantisation else ""))
        manifest = _manifest(request, target, maker, built)
        calibration = request.quantisation.calibration if request.quantisation else None
        write_reports(folder, manifest, built.reports, calibration)
        return package(folder, manifest, out)


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"{error.filename or out}: cannot be written: {error.strerror or error}; make room, or "
            f"name another folder than {out}"
        ) from error


@contextmanager
def _roomy(out: Path) -> Iterator[None]:
    """On a full disk OpenVINO saves what does not load, and torch raises what does not say why."""
    try:
        yield
    except (BuildError, RuntimeError) as error:
        if shutil.disk_usage(out).free >= _FULL_BYTES:
            raise
        raise BuildError(
            f"{out}: no space left on the device; make room, or name another folder: "
            f"{first_line(error)}"
        ) from error


def _check(request: Request, target: Target) -> None:
    for batch in request.batches:
        if batch < 1:
            raise InputError(f"batch {batch}: must be at least 1")
    calibrated = request.precision in target.calibrated
    if calibrated and request.quantisation is None:
        raise InputError(f"precision {request.precision!r} needs images to calibrate on; name some")
    if not calibrated and request.quantisation is not None:
        raise InputError(f"precision {request.precision!r} is not calibrated, and takes no images")


def _build_programs(
    request: Request, target: Target, maker: Builder, folder: Path, on_step: Step
) -> _Built:
    workshop = Workshop(
        target,
        request.precision,
        maker,
        folder / "programs",
        request.photographs,
        request.split,
        request.settings,
        with_forms(target.passes, request.forms),
        request.quantisation,
    )
    built = _Built()
    network: Optional[DepthAnything] = None
    for size, batch in request.shapes():
        on_step(f"{stem_name(size, batch)}: specialise")
        if network is None:
            network = specialise(request.model, request.checkpoint, size)
            if request.quantisation is not None:
                check_float_layers(network, request.quantisation.float_layers)
        else:
            network.fix_size(*size)
        proven = workshop.make(network, batch, on_step)
        _add(built, size, proven, target.limits[request.precision])
    if not built.programs:
        raise BuildError("no size to build: give at least one --size HEIGHTxWIDTH")
    return built


def _add(built: _Built, size: tuple[int, int], proven: Proven, limit: Limit) -> None:
    numbers = worst(proven.results) if proven.results else None
    problem = failure(numbers, limit) if numbers else None
    if problem:
        built.failures.append(f"{stem_name(size, proven.programs[0].batch)}: {problem}")
    known = {program.name for program in built.programs}
    for one in proven.programs:
        program = Program(
            one.stage, *size, one.batch, "float32", "float32", _described(one.files), numbers
        )
        # A compiler that died at a larger batch may have left a program that was asked for too.
        if program.name not in known:
            built.programs.append(program)
            built.reports.append(ProgramReport.of(program.name, one, proven))


def _described(files: Sequence[Path]) -> tuple[ProgramFile, ...]:
    return tuple(
        ProgramFile(f"programs/{file.name}", sha256_file(file), file.stat().st_size)
        for file in files
    )


def _other_flags(reports: Sequence[ProgramReport]) -> Iterator[str]:
    """Of programs that came out only when less was asked of the compiler, or take other batches."""
    for report in reports:
        if report.record and report.record.attempts:
            yield f"{report.name}: {report.record.rung}"
        if report.record and report.record.dynamic_batch:
            yield f"{report.name}: dynamic batch"


def _quantised_flags(request: Request, target: Target) -> Iterator[str]:
    found = quantiser(target, request.precision)
    if found and request.quantisation:
        yield from found.flags()
        yield from request.quantisation.flags()


def _manifest(request: Request, target: Target, maker: Builder, built: _Built) -> Manifest:
    limit = target.limits[request.precision]
    passes = with_forms(target.passes, request.forms)
    folded = tuple(name for name in passes if name == NORMALISATION)
    lowering = (f"lowering={','.join(passes)}",) if passes else ()
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
            REFERENCE, MEAN, STD, INTERPOLATION, request.model.short_side_px, PATCH_PX, folded
        ),
        target=target.name,
        precision=request.precision,
        compiler_flags=(
            *maker.flags(request.precision),
            *lowering,
            *_quantised_flags(request, target),
            *_other_flags(built.reports),
        ),
        versions={
            **provenance_versions(target.name, request.precision, request.model.family),
            **maker.versions(),
            **calibration_versions(target, request.precision),
        },
        parity_limit=ParityLimit(
            limit.max_rel, limit.mean_rel, None if target.device else not built.failures
        ),
        programs=tuple(built.programs),
    )
