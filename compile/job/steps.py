"""What each step of a compile job does: from the job and earlier results to a result and a section.

A result is text, so that it can be kept and compared; a section is Markdown for the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from compile.build.asked import build_asked
from compile.build.report import PREFLIGHT
from compile.build.request import MAX_PHOTOGRAPHS, Request, requested
from compile.errors import PreflightError
from compile.int8.layers import pictures_for
from compile.job import fastest
from compile.job.ledger import inputs_hash
from compile.job.spec import JobSpec
from compile.lowering.passes import with_variants
from compile.parity.device import read_reports
from compile.parity.inputs import photographs
from compile.plan.plan import plan_for
from compile.plan.tables import plan_table
from compile.precision.survey import survey
from compile.preflight.programs import lane_remark, network_for, preflight_all
from compile.preflight.report import all_together, problems_of
from compile.specialise import specialise
from compile.targets.modes import mode_named, modes_of
from compile.targets.table import AUTO, target_named
from compile.weights import find, read
from depth.artifact.manifest import Artifact, read_artifact
from depth.console import transfer
from depth.errors import CheckpointError
from depth.family import UNTRAINED, model_named
from depth.files import sha256_bytes, sha256_file
from depth.store.names import ALIASES, program_files
from depth.store.objects import open_store
from depth.store.push import push
from depth.weights.download import fetch
from depth.weights.registry import CHECKPOINTS, published_files

Say = Callable[[str], None]  # called with what begins now, in words


@dataclass(frozen=True)
class Done:
    result: str
    section: str
    headline: str = ""  # what of it the top of the report states


def fetch_weights(spec: JobSpec, say: Say) -> Done:
    """The file with the weights, downloaded if need be. Result: its path, or `untrained`.

    Raises CheckpointError, DownloadError or LicenceError. Never takes another model's weights.
    """
    if spec.checkpoint == UNTRAINED:
        return Done(UNTRAINED, "Fixed-seed weights, to try the target: the depth means nothing.")
    model = model_named(spec.model)
    path = Path(spec.checkpoint) if spec.checkpoint else find(model, CHECKPOINTS)
    if path is None:
        if spec.model not in published_files():
            raise CheckpointError(f"no checkpoint of {spec.model} is published; name a file")
        say(f"download the weights of {spec.model}")
        path = fetch(published_files()[spec.model], CHECKPOINTS, spec.accept_licence)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    return Done(str(path), f"`{path.name}`, sha256 `{sha256_file(path)}`")


def photographs_hash(spec: JobSpec) -> str:
    """Of the photographs that forecast and parity use, and of those to calibrate on.

    Raises InputError if there are none where some are needed.
    """
    calibrated = fastest.is_calibrated(spec)
    found, quantisation = pictures_for(
        Path(spec.images), MAX_PHOTOGRAPHS, calibrated, spec.float_layers
    )
    hashes = [sha256_bytes(picture.pixels.tobytes()) for picture in found]
    return inputs_hash(*hashes, *([quantisation.calibration.sha256] if quantisation else ()))


def passes_of(spec: JobSpec) -> tuple[str, ...]:
    """Raises InputError if a variant does not exist."""
    return with_variants(target_named(spec.target).passes, spec.variants)


def check_operators(spec: JobSpec, precision: Optional[str], say: Say) -> Done:
    """Would every program compile whole, and do all fit? Raises PreflightError if not."""
    target = target_named(spec.target)
    if not target.device:
        return Done("", f"Not needed: programs of {spec.target} run on a CPU.")
    mode = None if precision is None else mode_named(spec.target, precision)
    network = network_for(model_named(spec.model), None)
    reports = preflight_all(network, spec.target, spec.shapes, passes_of(spec), mode, say)
    problems = problems_of(reports)
    if problems:
        raise PreflightError("; ".join(problems))
    remark = lane_remark(spec.target)
    sections = [*(report.markdown() for report in reports), all_together(reports).text()]
    return Done("passed", "\n\n".join([*filter(None, [remark]), *sections]))


def choose_precision(spec: JobSpec, weights: str, say: Say) -> Done:
    """The precision to build with, forecast for a Neuron target at the first size.

    Raises PrecisionError if the mode asked for, or every mode, is forecast to miss the limit.
    """
    target = target_named(spec.target)
    if not target.device:
        measured = "parity measures what it costs, below."
        if spec.chosen_by_measurement:
            measured = "the build measures the precisions of this CPU, below."
        return Done(spec.precision, f"`{spec.precision}`; {measured}")
    model = model_named(spec.model)
    checkpoint = read(model, weights)
    every = modes_of(spec.target)
    modes = every if spec.precision == AUTO else (mode_named(spec.target, spec.precision),)
    (report,) = survey(
        specialise(model, checkpoint, spec.shapes[0][0]),
        f"{spec.model} ({checkpoint.name})",
        modes,
        passes_of(spec),
        photographs(Path(spec.images), MAX_PHOTOGRAPHS),
        target.limits[modes[0].name],
        say,
    )
    return Done(report.choose().mode.name, report.markdown(), report.headline())


def estimate_plan(spec: JobSpec) -> Optional[str]:
    """Estimated speed and cost at the first size, Markdown; None for a CPU."""
    if spec.plan_instance is None:
        return None
    return plan_table(plan_for(model_named(spec.model), spec.shapes[0][0], spec.plan_instance))


def build_artifact(spec: JobSpec, weights: str, precision: str, say: Say) -> Done:
    """Build, prove and package. Result: the folder's name in `out`. Raises what `build` raises."""

    def ask(chosen: Optional[str], floats: Sequence[str]) -> Request:
        return requested(
            spec.model,
            spec.target,
            chosen,
            spec.sizes,
            spec.batches,
            weights,
            Path(spec.images),
            say,
            floats,
            spec.timeout_s,
            split=spec.split,
            views=spec.views,
            rays=spec.rays,
            variants=spec.variants,
        )

    folder = build_asked(ask, spec.target, precision, spec.float_layers, Path(spec.out), say)
    _, report = read_reports(folder)
    own, _, _ = report.partition(PREFLIGHT)  # a section of its own in the job's report
    parts = [own]
    chosen = fastest.choice_behind(spec, read_artifact(folder))
    parts += [fastest.section(chosen) + "\n"] if chosen else []
    plan = estimate_plan(spec)
    parts += [f"## Plan, estimated\n\n{plan}\n"] if plan else []
    return Done(folder.name, "\n".join(parts), fastest.headline(chosen) if chosen else "")


def check_store(spec: JobSpec) -> None:
    """Raises StoreError now rather than after hours of work."""
    if spec.store is not None:
        with open_store(spec.store, spec.endpoint_url) as place:
            next(iter(place.listed(ALIASES)), None)


def push_artifact(spec: JobSpec, artifact: Artifact) -> Done:
    """Into the store, if the job has one. Result: the identity. Raises StoreError."""
    if spec.store is None:
        return Done(artifact.identity, "The job names no store.")
    size_bytes = sum(file.size_bytes for file in program_files(artifact.manifest))
    place, bar = open_store(spec.store, spec.endpoint_url), transfer("push", size_bytes)
    with place as store, bar as on_bytes:
        done = push(store, artifact, on_bytes)
    sent, kept = done.sent_bytes / 1e6, done.kept_bytes / 1e6
    sent_where = (
        f"`{artifact.identity}` to `{spec.store}`: sent {sent:.1f} MB, {kept:.1f} MB were there."
    )
    return Done(artifact.identity, sent_where)
