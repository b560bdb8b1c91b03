"""What an artifact's manifest says, from what was asked for and what came out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

from compile.build.package import provenance_versions
from compile.build.report import ProgramReport
from compile.build.request import Request
from compile.parity.chain import normalise_of
from compile.parity.measure import Measured
from compile.targets.protocols import Builder, Compiled
from compile.targets.table import Target, calibration_versions, quantiser
from depth.artifact.manifest import FORMAT, CheckpointFacts, Gate, Manifest, Views
from depth.artifact.program import OutputFacts, Program, ProgramFile, Tensor, program_name
from depth.artifact.steps import Do, RunStage, Step
from depth.family import FUSED, UNITS, Model, Output, Port
from depth.files import sha256_file
from depth.sizes import Size


def described(compiled: Compiled, size: Size, measured: Optional[Measured]) -> Program:
    """A program as the manifest has it."""
    stage = compiled.stage
    return Program(
        name=program_name(stage.name, size, compiled.batch, compiled.views),
        stage=stage.name,
        shape=dict(compiled.letters),
        inputs=_tensors(stage.inputs),
        outputs=_tensors(stage.outputs),
        files=tuple(
            ProgramFile(f"programs/{file.name}", sha256_file(file), file.stat().st_size)
            for file in compiled.files
        ),
        measured=measured,
    )


def describe(
    request: Request,
    target: Target,
    maker: Builder,
    programs: Sequence[Program],
    reports: Sequence[ProgramReport],
    passed: Optional[bool],
) -> Manifest:
    """The whole manifest. `passed`: the verdict of the parity gate, None if the device gives it."""
    model, checkpoint = request.model, request.checkpoint
    passes = request.passes
    lowering = (f"lowering={','.join(passes)}",) if passes else ()
    return Manifest(
        format=FORMAT,
        family=model.family,
        model=model.name,
        checkpoint=CheckpointFacts(checkpoint.name, checkpoint.sha256, checkpoint.licence),
        target=target.name,
        precision=request.precision,
        flags=(
            *maker.flags(request.precision),
            *lowering,
            *_quantised_flags(request, target),
            *_other_flags(reports),
        ),
        versions={
            **provenance_versions(target.name, request.precision, model.family),
            **maker.versions(),
            **calibration_versions(target, request.precision),
        },
        views=Views(min(request.scene_views), max(request.scene_views)),
        size=model.size,
        steps=steps_of(model, passes, request.rays),
        outputs=tuple(map(_facts, request.outputs)),
        programs=tuple(programs),
        gate=Gate(target.limits[request.precision].of(request.outputs), passed),
    )


def steps_of(model: Model, passes: Sequence[str], rays: bool = False) -> tuple[Step, ...]:
    """From image file to result, without the steps that the programs do themselves."""
    folded = normalise_of(model, passes)
    before = [Do(step) for step in model.before if step != folded]
    chain = model.chain or (RunStage(FUSED),)
    if rays and model.rays:
        place = chain.index(model.rays.after) + 1
        chain = (*chain[:place], *model.rays.steps, *chain[place:])
    return (*before, *chain, *map(Do, model.after))


def _tensors(ports: Sequence[Port]) -> tuple[Tensor, ...]:
    return tuple(Tensor(port.name, port.axes, port.dtype) for port in ports)


def _facts(output: Output) -> OutputFacts:
    unit = UNITS.get(output.becomes or output.kind)
    return OutputFacts(output.name, output.kind, output.becomes, output.axes, unit, output.largest)


def _other_flags(reports: Sequence[ProgramReport]) -> Iterator[str]:
    """For each program that only a fallback of the compiler could make."""
    for report in reports:
        if report.record and report.record.attempts:
            yield f"{report.name}: {report.record.fallback}"


def _quantised_flags(request: Request, target: Target) -> Iterator[str]:
    found = quantiser(target, request.precision)
    if found and request.quantisation:
        yield from found.flags()
        yield from request.quantisation.flags()
