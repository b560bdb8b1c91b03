"""Build an artifact in the fastest precision that passes its gate on this CPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable, Optional

import numpy as np

from compile.build.build import build
from compile.build.fastest.candidates import candidates
from compile.build.fastest.measure import fastest, in_turns
from compile.build.fastest.record import FILE, Candidate, Chosen, Key, find, keep, source_of
from compile.build.package import package, scratch_in
from compile.build.request import Request
from compile.errors import BuildError, FloatLayersError, ParityError
from compile.int8.layers import FLOAT_LAYERS_FLAG
from compile.parity.chain import chained, normalise_of
from compile.parity.inputs import parity_inputs
from compile.targets.protocols import Ports, Run
from compile.targets.table import Target, builder, default_precision, target_named
from compile.views import check_scenes
from depth.artifact.manifest import Artifact, read_artifact
from depth.errors import InputError, first_line
from depth.family import DEPTH, IMAGES
from depth.maps.result import FloatArray

Say = Callable[[str], None]
Ask = Callable[[str, Sequence[str]], Request]  # precision and float layers -> what is to be built


def build_fastest(ask: Ask, target_name: str, out: Path, say: Say) -> Path:
    """Build, prove and package as `build`, in the precision chosen before or else chosen now.

    Raises what `build` raises for the target's first precision.
    """
    target = target_named(target_name)
    plain = ask(default_precision(target.name), ())
    check_scenes(plain.model, plain.views, plain.rays, calibrated=True)
    if plain.takes_half:
        raise InputError("precision 'auto' tries int8 too, which takes no input=fp16: name another")
    model, checkpoint = plain.model, plain.checkpoint
    key = Key.here(model.family, model.name, checkpoint.sha256, target.name)
    known = find(out, key)
    if known is not None:
        say(f"auto: {known.precision}, chosen before on this CPU; {out / FILE} has the figures")
        return build(_asked(ask, known.precision, known.float_layers), out, say)
    out.mkdir(parents=True, exist_ok=True)
    with scratch_in(out) as scratch:
        # A folder of its own: the other one is locked.
        found = attempts(ask, plain, candidates(target), scratch / "made", say)
        chosen, artifact = _chosen(plain, target, key, found, say)
        keep(out, chosen)
        return package(artifact.folder, artifact.manifest, out)


@dataclass(frozen=True)
class Attempt:
    """One precision: its artifact, or why there is none."""

    precision: str
    artifact: Optional[Artifact]
    left_out: str = ""
    float_over: bool = False  # float arithmetic alone is over the limit


def attempts(
    ask: Ask, plain: Request, rows: Iterable[tuple[str, str]], out: Path, say: Say
) -> list[Attempt]:
    """An artifact in `out` for each precision of `candidates`, if it passes.

    Where bf16 alone is over the limit, int8 has float32 beside it. Raises what `build` raises for
    the first precision.
    """
    in_float32 = next(iter(target_named(plain.target).calibrated), None)
    found: list[Attempt] = []
    for precision, left_out in rows:
        mixed = _is_mixed(plain, precision) and not left_out
        if mixed and any(one.float_over for one in found):
            reason = "its float layers alone are over the limit"
            found.append(Attempt(precision, None, reason, float_over=True))
        else:
            found.append(_attempt(ask, plain, precision, left_out, out, say))
        if mixed and in_float32 and found[-1].float_over:
            found.append(_attempt(ask, plain, in_float32, "", out, say))
    return found


def _is_mixed(plain: Request, precision: str) -> bool:
    """Whether it is int8 with float layers in another arithmetic than float32."""
    return precision in list(target_named(plain.target).calibrated)[1:]


def _asked(ask: Ask, precision: str, float_layers: Sequence[str] = ()) -> Request:
    """In exactly this precision: a command takes int8 for int8-bf16 where the CPU has that."""
    return replace(ask(precision, float_layers), precision=precision)


def _attempt(
    ask: Ask, plain: Request, precision: str, left_out: str, scratch: Path, say: Say
) -> Attempt:
    """An artifact of one precision. Raises what `build` raises for the first precision."""
    if left_out:
        return Attempt(precision, None, left_out)
    is_plain = precision == plain.precision
    request = plain if is_plain else _asked(ask, precision)
    over = request.quantisation is None
    say(f"auto: build {precision}")
    try:
        artifact = read_artifact(build(request, scratch, say))
    except (BuildError, ParityError) as error:
        if is_plain:
            raise
        over = isinstance(error, FloatLayersError) or (over and isinstance(error, ParityError))
        return Attempt(precision, None, first_line(error), over)
    if not (artifact.manifest.gate.passed or is_plain):
        return Attempt(precision, None, "missed its limit", over)  # and was forced
    return Attempt(precision, artifact)


def _chosen(
    plain: Request, target: Target, key: Key, attempts: Sequence[Attempt], say: Say
) -> tuple[Chosen, Artifact]:
    """Measure what passed, and say what was found for each precision."""
    made = {one.precision: one.artifact for one in attempts if one.artifact}
    say(f"auto: measure {', '.join(made)}")
    shown = images_of(plain)
    runs = {name: _run(plain, target, artifact) for name, artifact in made.items()}
    samples = in_turns({name: partial(_once, run=run, images=shown) for name, run in runs.items()})
    result = fastest(samples)
    rows = tuple(_row(one, result.latency_ms, result.ratios) for one in attempts)
    for row in rows:
        say(f"auto: {row.text()}")
    say(f"auto: chosen {result.name}")
    artifact = made[result.name]
    chosen = Chosen(
        key,
        source_of(key, result.name),
        result.name,
        _float_layers(artifact),
        len(plain.photographs),
        rows,
    )
    return chosen, artifact


def _row(attempt: Attempt, latency: Mapping[str, float], ratios: Mapping[str, float]) -> Candidate:
    name = attempt.precision
    if attempt.artifact is None:
        return Candidate(name, None, None, None, None, attempt.left_out)
    found = [p.measured[DEPTH] for p in attempt.artifact.manifest.programs if p.measured]
    worst = {key: max(float(one[key] or 0.0) for one in found) for key in ("max_rel", "mean_rel")}
    return Candidate(name, round(latency[name], 2), round(ratios[name], 3), **worst, left_out="")


def images_of(request: Request) -> list[FloatArray]:
    """The photographs as the network takes them, at the first size; else a made-up scene."""
    size, batch = next(request.shapes())
    inputs = parity_inputs(request.model, size, request.photographs)
    real = inputs[len(inputs) - len(request.photographs) :] or inputs[-1:]
    return [np.concatenate([one.image] * batch) for one in real]


def _run(request: Request, target: Target, artifact: Artifact) -> Run:
    """The programs of the first size and batch, loaded as serving loads them."""
    manifest, maker = artifact.manifest, builder(target)
    links = []
    for program in manifest.stages(manifest.keys[0]):
        files = [artifact.folder / file.path for file in program.files]
        ports = Ports.of(program)
        links.append((ports, maker.load(files, ports, manifest.precision)))
    return chained(links, normalise_of(request.model, request.passes))


def _once(number: int, run: Run, images: Sequence[FloatArray]) -> object:
    return run({IMAGES.name: images[number % len(images)]})


def _float_layers(artifact: Artifact) -> tuple[str, ...]:
    """Those that the manifest's flags name."""
    start = f"{FLOAT_LAYERS_FLAG}="
    for flag in artifact.manifest.flags:
        if flag.startswith(start):
            return tuple(filter(None, flag[len(start) :].split(",")))
    return ()
