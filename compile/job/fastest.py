"""Precision `auto` of a job on a CPU target: what its build depends on, and what the report says.

Loads no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from compile.build.fastest.candidates import candidates
from compile.build.fastest.record import FILE, Chosen, find_behind
from compile.job.spec import JobSpec
from compile.targets.table import calibration_versions, target_named
from depth.artifact.manifest import Artifact, read_artifact
from depth.cpu import read_cpu


def precisions_of(spec: JobSpec) -> tuple[str, ...]:
    """The precisions that the job may build: that asked for, or those that this CPU can run."""
    if not spec.chosen_by_measurement:
        return (spec.precision,)
    return tuple(name for name, left_out in candidates(target_named(spec.target)) if not left_out)


def is_calibrated(spec: JobSpec) -> bool:
    """Whether a program of the job may be calibrated on the images."""
    return not target_named(spec.target).calibrated.keys().isdisjoint(precisions_of(spec))


def machine_facts(spec: JobSpec) -> dict[str, str]:
    """What the job's programs are made with here, by name; if it measures, the CPU too."""
    target = target_named(spec.target)
    found: dict[str, str] = {}
    for precision in precisions_of(spec):
        found.update(calibration_versions(target, precision))
    if spec.chosen_by_measurement:
        cpu = read_cpu()
        found.update(cpu=cpu.model, cpu_features=" ".join(cpu.features))
    return found


def is_still_chosen(spec: JobSpec, folder: Path) -> bool:
    """Whether the choice that made a whole artifact is still kept; true if no choice did."""
    return not spec.chosen_by_measurement or find_behind(read_artifact(folder)) is not None


def choice_behind(spec: JobSpec, artifact: Artifact) -> Optional[Chosen]:
    """The choice that the job's artifact was made by, if the job measures."""
    return find_behind(artifact) if spec.chosen_by_measurement else None


def headline(chosen: Chosen) -> str:
    """Chosen by `auto`: 377.1 ms, 2.39 times as fast as fp32"""
    taken = (one.speed() for one in chosen.candidates if one.precision == chosen.precision)
    return f"Chosen by `auto`: {next(taken, 'unknown')}"


def section(chosen: Chosen) -> str:
    """Every precision with its figures or the reason why it was left out, Markdown."""
    shown = f"{chosen.images} photograph(s)" if chosen.images else "a made-up scene"
    return "\n".join(
        [
            "## Precision, measured",
            "",
            f"`auto` takes `{chosen.precision}`, the fastest within its limit on {chosen.key.cpu}, "
            f"measured in turns on {shown}:",
            "",
            *(f"- {one.text()}" for one in chosen.candidates),
            "",
            f"The choice is kept in `{FILE}` beside the artifact, for other sizes and images too. "
            "Delete that file to choose again.",
        ]
    )
