"""The report of a job: what a reviewer reads before the artifact is used."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from compile.job.ledger import Entry, keep
from compile.job.spec import JobSpec
from compile.targets.table import target_named
from depth.artifact.manifest import Artifact
from depth.artifact.verification import BUILT, FAILED, VERIFIED
from depth.console import markdown
from depth.errors import first_line
from depth.family import DEPTH

REPORT, JOB_FILE = "report.md", "job.toml"
_TITLES = {
    "fetch": "Weights",
    "preflight": "Preflight",
    "precision": "Precision",
    "build": "Build, parity and package",
    "push": "Push",
}
_STATES = {
    BUILT: "**built, not verified**: measure it on the device",
    VERIFIED: "**built and verified**",
    FAILED: "**built, FAILED on the device**: do not serve it",
}


@dataclass(frozen=True)
class Section:
    step: str
    entry: Entry
    before: bool  # done by a former run


@dataclass(frozen=True)
class Made:
    artifact: Artifact
    state: str  # of depth/artifact/verification.py


@dataclass(frozen=True)
class Failure:
    step: str
    problem: Exception


def write_report(
    folder: Path,
    spec: JobSpec,
    sections: Sequence[Section],
    made: Optional[Made],
    failure: Optional[Failure],
) -> Path:
    """Write report.md, and the job as job.toml, into the job's folder.

    Raises JobError if a file cannot be written.
    """
    file = folder / JOB_FILE
    keep(file, spec.toml())
    lines = [f"# Compile job: {spec.model} for {spec.target}", ""]
    lines += [f"- {line}" for line in _top(spec, sections, made, failure, file)]
    rows = [(s.step, f"{s.entry.duration_s:.1f}", "done before" * s.before) for s in sections]
    rows += [(failure.step, "", "failed")] if failure else []
    lines += ["", *markdown(("step", "seconds", ""), rows, right=(1,))]
    lines += ["", "Asked for:", "", "```toml", spec.toml().rstrip("\n"), "```"]
    for section in sections:
        lines += ["", f"## {_TITLES[section.step]}", "", _below(section.entry.section)]
    if failure:
        lines += ["", f"## {_TITLES[failure.step]}", "", "```", str(failure.problem), "```"]
    path = folder / REPORT
    keep(path, "\n".join(lines) + "\n")
    return path


def _top(
    spec: JobSpec,
    sections: Sequence[Section],
    made: Optional[Made],
    failure: Optional[Failure],
    file: Path,
) -> list[str]:
    """State, weights, precision, what was not measured, and the next command: a line each."""
    state = f"**FAILED at {failure.step}**: {first_line(failure.problem)}" if failure else ""
    if made is None:
        licence, missing = "licence not read yet", "everything: no program was built"
    else:
        state, licence = state or _STATES[made.state], _licence(made)
        missing = _not_measured(spec, made)
    again = f"`python -m compile job {shlex.quote(str(file))}` goes on after the finished steps"
    return [
        f"State: {state}",
        f"Model: `{spec.model}`, {licence}",
        f"Precision: {_precision(spec, sections, made)}",
        f"Not measured: {missing}",
        f"Next: {again if made is None or failure else _next(spec, made)}",
    ]


def _licence(made: Made) -> str:
    weights = made.artifact.manifest.checkpoint
    licence = f"weights `{weights.file}`, licence {weights.licence}"
    if weights.licence == "unknown":
        licence += ". **Find out the licence before you use the artifact or pass it on**"
    return licence


def _precision(spec: JobSpec, sections: Sequence[Section], made: Optional[Made]) -> str:
    headline = next((s.entry.headline for s in sections if s.entry.headline), "")
    device = target_named(spec.target).device
    if made is None or (device and headline):
        return headline or f"`{spec.precision}`, not {'forecast' if device else 'measured'} yet"
    from compile.parity.measure import figures, limits_text  # loads torch

    m = made.artifact.manifest
    found = [program.measured[DEPTH] for program in m.programs if program.measured]
    worst = {name: max(error[name] or 0 for error in found) for name in m.gate.limits[DEPTH]}
    limits = limits_text({DEPTH: m.gate.limits[DEPTH]})
    errors = f"`{m.precision}`, measured error of depth: {figures(worst)} (limits: {limits})"
    return f"{errors}. {headline}" if headline else errors


def _not_measured(spec: JobSpec, made: Made) -> str:
    if spec.chosen_by_measurement:
        return "memory, and the speed of programs other than those that `auto` measured"
    if made.state != BUILT:
        return "speed and memory"
    sizes = list(dict.fromkeys(spec.sizes))[1:]
    others = f". The forecast is not for {', '.join(sizes)}" if sizes else ""
    return (
        "depth, speed and memory on the device; preflight, forecast and plan are estimates" + others
    )


def _next(spec: JobSpec, made: Made) -> str:
    """The command that follows in compile/README.md."""
    artifact, state = made.artifact, made.state
    folder = artifact.folder
    store = [] if spec.store is None else ["--store", spec.store]
    if spec.endpoint_url:
        store += ["--endpoint-url", spec.endpoint_url]
    if state == FAILED:
        return _command("compile", "precision", "--model", spec.model, "--target", spec.target)
    if state == VERIFIED and store:
        alias = f"{spec.model}/{spec.target}/production"
        return _command("compile", "promote", artifact.identity, alias, *store)
    if state == VERIFIED:
        return _command("serve", "folder", str(folder), "--input", spec.images)
    weights = ["--checkpoint", spec.checkpoint] if spec.checkpoint else []
    measure = ["parity", str(folder), "--on-device", *weights]
    there = f"on an instance for {spec.target}"
    if not store:
        return f"copy the folder, and {there}: {_command('compile', *measure)}"
    pulled = _command("compile", "pull", artifact.identity, "--out", spec.out, *store)
    return f"{there}: {pulled}, then {_command('compile', *measure)}"


def _command(*words: str) -> str:
    return f"`python -m {shlex.join(words)}`"


def _below(text: str) -> str:
    """Headings two levels down, to be parts of a section."""
    return "\n".join(f"##{line}" if line.startswith("#") else line for line in text.splitlines())
