"""Whether an artifact is verified. For device targets, a file made on the device says so.

A program for a NeuronCore gives wrong numbers anywhere else, so its manifest holds no parity. On
the device `python -m compile parity ARTIFACT --on-device` measures it and writes `verified.json`
beside the manifest, with each program's answers to a fixed probe. The manifest, and with it the
artifact's identity, stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from depth.artifact.manifest import Artifact, Gate, Manifest
from depth.artifact.probe import Answer
from depth.artifact.strict_json import decode, parse_object
from depth.errors import ArtifactError
from depth.files import write_whole

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
    made: str  # ISO 8601, UTC
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

    Raises ArtifactError if the file is damaged or belongs to another artifact.
    """
    path = artifact.folder / VERIFIED_FILE
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_verification(data, artifact.identity, str(path))


def parse_verification(data: bytes, identity: str, where: str) -> Verification:
    """The bytes of a verified.json, checked. Raises ArtifactError as `read_verification`."""
    try:
        found = decode(Verification, parse_object(data))
    except ValueError as error:
        raise ArtifactError(f"{where}: {error}; measure again on the device") from error
    if found.identity != identity:
        raise ArtifactError(
            f"{where}: belongs to artifact {found.identity[:12]}..., this is "
            f"{identity[:12]}...; measure again on the device"
        )
    return found


def dump_verification(verification: Verification) -> str:
    """The text of verified.json."""
    return json.dumps(asdict(verification), indent=2, sort_keys=True, allow_nan=False) + "\n"


def write_verification(artifact: Artifact, verification: Verification) -> Path:
    """Write `verified.json` through a temporary file; returns its path."""
    path: Path = artifact.folder / VERIFIED_FILE
    write_whole(path, dump_verification(verification))
    return path


def is_later(one: Verification, other: Optional[Verification]) -> bool:
    """Whether `one` replaces `other`: the last measurement counts."""
    return other is None or one.made > other.made


def answers_of(artifact: Artifact, program: str) -> Mapping[str, Answer]:
    """A program's answers to the probe where it was verified; {} without a measurement.

    Raises ArtifactError as `read_verification`.
    """
    verification = read_verification(artifact)
    rows = verification.programs if verification is not None else ()
    return next((row.answers for row in rows if row.name == program), {})
