"""Whether an artifact is verified. For device targets, a file made on the device says so.

A program for a NeuronCore cannot be loaded anywhere else, so its manifest holds no parity. On the
device `python -m compile parity ARTIFACT --on-device` measures it and writes `verified.json`
beside the manifest, with each program's answers to a fixed probe. The manifest, and with it the
artifact's identity, stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Optional

from depth.artifact.checks import over_limits
from depth.artifact.manifest import Artifact, Gate, Manifest
from depth.artifact.probe import Answer, unusable_answers
from depth.artifact.strict_json import decode, parse_object
from depth.errors import ArtifactError
from depth.files import read_regular, write_whole

VERIFIED_FILE = "verified.json"
BUILT, VERIFIED, FAILED = "built", "verified", "failed"  # states
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class ProgramVerification:
    name: str  # "518x686-b1"
    measured: Mapping[str, Mapping[str, Optional[float]]]  # as in the manifest
    answers: Mapping[str, Answer]  # to the fixed probe, by output: depth/artifact/probe.py


@dataclass(frozen=True)
class Verification:
    """A measurement on the device."""

    identity: str  # of the artifact
    counter: int  # from 1: one more than the measurement that this one replaced
    made: str  # ISO 8601, UTC; for people, decides nothing
    versions: Mapping[str, str]  # of the runtime, the driver and the instance
    gate: Gate
    programs: tuple[ProgramVerification, ...]


def state(artifact: Artifact) -> str:
    """Whether a folder's artifact is `verified`, `failed`, or `built` and not measured yet.

    Raises ArtifactError as `read_verification`.
    """
    asked = artifact.manifest.gate.passed is None
    return state_of(artifact.manifest, read_verification(artifact) if asked else None)


def state_of(manifest: Manifest, verification: Optional[Verification]) -> str:
    """As `state`, for a manifest and the measurement that belongs to it."""
    passed = manifest.gate.passed
    if passed is None and verification is not None:
        passed = verification.gate.passed
    return {True: VERIFIED, False: FAILED, None: BUILT}[passed]


def read_verification(artifact: Artifact) -> Optional[Verification]:
    """The measurement of this artifact, or None.

    Raises ArtifactError if the file is damaged, belongs to another artifact, or proves nothing:
    see `parse_verification`.
    """
    path = artifact.folder / VERIFIED_FILE
    try:
        data = read_regular(path, MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_verification(data, artifact.manifest, str(path))


def parse_verification(data: bytes, manifest: Manifest, where: str) -> Verification:
    """The measurement in a verified.json that belongs to this manifest.

    It must measure exactly the manifest's programs, by the manifest's limits, with the verdict
    that its figures give. Raises ArtifactError for anything else.
    """
    try:
        found = decode(Verification, parse_object(data))
        for problem in _problems(found, manifest):
            raise ValueError(problem)
    except ValueError as error:
        raise ArtifactError(f"{where}: {error}; measure again on the device") from error
    return found


def _problems(found: Verification, manifest: Manifest) -> Iterator[str]:
    """Each reason why a measurement says nothing about the artifact of this manifest."""
    identity = manifest.identity()
    if found.identity != identity:
        yield f"belongs to artifact {found.identity[:12]}..., this is {identity[:12]}..."
    if found.counter < 1:
        yield f"field counter is {found.counter}, expected 1 or more"
    if not _is_utc(found.made):
        yield f"field made is {found.made!r}, expected UTC such as 2026-01-31T12:00:00+00:00"
    names = [program.name for program in manifest.programs]
    measured = [program.name for program in found.programs]
    if sorted(measured) != sorted(names):
        yield f"measures the programs {measured}, the artifact has {names}"
        return
    if found.gate.limits != manifest.gate.limits:
        yield f"has the limits {found.gate.limits}, the manifest has {manifest.gate.limits}"
    rows = [(program.name, program.measured) for program in found.programs]
    over = [*over_limits(manifest.gate.limits, manifest.outputs, rows)]
    if found.gate.passed is not (not over):
        reason = ", ".join(over) or "every figure is within its limit"
        yield f"field gate.passed is {found.gate.passed}, though {reason}"
    if found.gate.passed:
        answers = {program.name: program.answers for program in found.programs}
        for program in manifest.programs:
            yield from unusable_answers(program, answers[program.name])


def _is_utc(text: str) -> bool:
    """Whether this is a time as `compile parity` writes it."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return False
    return time.utcoffset() == timedelta(0) and time.isoformat(timespec="seconds") == text


def dump_verification(verification: Verification) -> str:
    """The text of verified.json."""
    return json.dumps(asdict(verification), indent=2, sort_keys=True, allow_nan=False) + "\n"


def write_verification(artifact: Artifact, verification: Verification) -> Path:
    """Write `verified.json` through a temporary file; returns its path.

    Raises ArtifactError for a measurement that `parse_verification` would refuse.
    """
    path: Path = artifact.folder / VERIFIED_FILE
    for problem in _problems(verification, artifact.manifest):
        raise ArtifactError(f"{path}: not written: {problem}; measure again on the device")
    write_whole(path, dump_verification(verification))
    return path


def next_counter(artifact: Artifact) -> int:
    """The counter of a new measurement in this folder."""
    try:
        found = read_verification(artifact)
    except ArtifactError:  # a damaged measurement counts for nothing
        return 1
    return found.counter + 1 if found else 1


def outranks(one: Verification, other: Optional[Verification]) -> bool:
    """Whether `one` counts, and not `other`: the higher counter, and of equal ones a failure.

    Times take no part: a clock can be wrong.
    """
    if other is None:
        return True
    if one.counter != other.counter:
        return one.counter > other.counter
    return bool(other.gate.passed and not one.gate.passed)


def answers_of(artifact: Artifact, program: str) -> Mapping[str, Answer]:
    """A program's answers to the probe where it was verified; {} without a measurement.

    Raises ArtifactError as `read_verification`.
    """
    verification = read_verification(artifact)
    rows = verification.programs if verification is not None else ()
    return next((row.answers for row in rows if row.name == program), {})
