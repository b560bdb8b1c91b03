"""Checkpoint in, verified artifact out: specialise, lower, preflight, build, parity, package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union, cast

from compile.build.describe import describe, described
from compile.build.package import new_artifact, package
from compile.build.programs import CpuPrograms, DevicePrograms, images_of
from compile.build.proven import Proven, Step
from compile.build.report import ProgramReport, write_reports
from compile.build.request import Request
from compile.build.scenes import DeviceScenePrograms, ScenePrograms
from compile.errors import BuildError, ParityError
from compile.int8.layers import ADVICE
from compile.parity.measure import failure, worst
from compile.specialise import specialise
from compile.targets.modes import FP16, mode_named
from compile.targets.protocols import Builder, DeviceBuilder, HostBuilder
from compile.targets.table import Target, builder, ready, target_named
from compile.views import check_scenes
from depth.artifact.program import Program
from depth.errors import InputError
from depth.network.base import Network
from depth.sizes import Size, size_text

Programs = Union[CpuPrograms, ScenePrograms, DevicePrograms, DeviceScenePrograms]


@dataclass
class _Built:
    request: Request  # with its layers chosen
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
    calibrated = request.precision in target.calibrated
    check_scenes(request.model, request.views, request.rays, calibrated)
    ready(target, request.precision)
    maker = builder(target)
    _check(request, target)
    with new_artifact(out) as folder:
        built = _build_programs(request, target, maker, folder, on_step)
        passed = None if target.device else not built.failures
        if built.failures and not request.force:
            raise ParityError("; ".join(built.failures) + (ADVICE if request.quantisation else ""))
        manifest = describe(built.request, target, maker, built.programs, built.reports, passed)
        write_reports(folder, manifest, built.reports, built.request.quantisation)
        return package(folder, manifest, out)


def _check(request: Request, target: Target) -> None:
    for size in request.sizes:
        request.model.size.check(size)
    calibrated = request.precision in target.calibrated
    for batch in request.batches:
        if batch < 1:
            raise InputError(f"batch {batch}: must be at least 1")
    if calibrated and request.quantisation is None:
        raise InputError(f"precision {request.precision!r} needs images to calibrate on; name some")
    if not calibrated and request.quantisation is not None:
        raise InputError(f"precision {request.precision!r} is not calibrated, and takes no images")
    request.passes  # noqa: B018 - raises
    if request.takes_half:
        _check_half(request.precision, target)


def _check_half(precision: str, target: Target) -> None:
    if precision in target.calibrated:
        raise InputError(f"precision {precision!r} is calibrated on float32: leave out input=fp16")
    if target.device and mode_named(target.name, precision).io == FP16:
        raise InputError(
            f"precision {precision!r} has float16 in and out already: leave out input=fp16, or "
            "take the mode without -io16"
        )


def _build_programs(
    request: Request, target: Target, maker: Builder, folder: Path, on_step: Step
) -> _Built:
    """Every program; with fewer layers in int8 as long as the gate refuses what was chosen."""
    if not list(request.shapes()):
        raise BuildError("no size to build: give at least one --size HEIGHTxWIDTH")
    programs = programs_for(request, target, maker, folder / "programs").checked(on_step)
    size, batch = next(request.shapes())
    on_step(_preparing(size, batch))
    network = specialise(request.model, request.checkpoint, size)
    programs = programs.with_layers(network, on_step)
    while True:
        built = _every_program(programs, network, on_step)
        fewer = programs.with_fewer_layers() if built.failures else None
        if fewer is None:
            return built
        on_step(f"int8: over the limit ({built.failures[0]}): again with fewer layers in int8")
        for file in programs.folder.iterdir():
            file.unlink()
        programs = fewer


def programs_for(request: Request, target: Target, maker: Builder, folder: Path) -> Programs:
    """What makes the programs of a request into files in `folder`."""
    if target.device:
        device = DeviceScenePrograms if request.model.takes_scenes else DevicePrograms
        return device(request, target, folder, cast(DeviceBuilder, maker))
    kind = ScenePrograms if request.model.takes_scenes else CpuPrograms
    return kind(request, target, folder, cast(HostBuilder, maker))


def _every_program(programs: Programs, network: Network, on_step: Step) -> _Built:
    request = programs.request
    built = _Built(request)
    limits = programs.target.limits[request.precision].of(request.outputs)
    for number, (size, batch) in enumerate(programs.shapes()):
        if number:
            on_step(_preparing(size, batch))
        network.fix_size(*size)
        for proven in programs.make(network, batch, on_step):
            _add(built, size, proven, limits)
    return built


def _preparing(size: Size, batch: int) -> str:
    return f"preparing the network for {images_of(size, batch)}, {size_text(size)} px"


def _add(
    built: _Built, size: Size, proven: Proven, limits: Mapping[str, Mapping[str, float]]
) -> None:
    measured = worst(proven.results) if proven.results else None
    problem = failure(measured, limits) if measured else None
    if problem:
        built.failures.append(f"{proven.name}: {problem}")
    known = {program.name for program in built.programs}
    for compiled in proven.programs:
        program = described(compiled, size, measured)
        # A compiler that died at a larger batch may have left a program that was asked for too.
        if program.name not in known:
            built.programs.append(program)
            built.reports.append(ProgramReport.of(program.name, compiled, proven))
