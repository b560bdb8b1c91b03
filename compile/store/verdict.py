"""What was measured on the device, as a store holds it: it may come later than its artifact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from compile.errors import StoreError
from depth_anything_v2.artifact import Artifact, Manifest
from depth_anything_v2.strict_json import decode, parse_object
from depth_anything_v2.verification import BUILT, FAILED, VERIFIED, VERIFIED_FILE, Verification

MAX_VERDICT_BYTES = 1 << 20


@dataclass(frozen=True)
class Verdict:
    data: bytes  # of verified.json
    verification: Verification


def local_verdict(artifact: Artifact) -> Optional[Verdict]:
    """Of a folder. Raises StoreError if it is damaged or belongs to another artifact."""
    path = artifact.folder / VERIFIED_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_verdict(data, artifact.identity, str(path))


def parse_verdict(data: bytes, identity: str, where: str) -> Verdict:
    """The bytes of a verified.json, checked. Raises StoreError."""
    try:
        verification = decode(Verification, parse_object(data))
    except ValueError as error:
        raise StoreError(f"{where}: {error}; measure again on the device and push that") from error
    if verification.identity != identity:
        raise StoreError(
            f"{where}: belongs to artifact {verification.identity[:12]}..., this is "
            f"{identity[:12]}...; measure again on the device and push that"
        )
    return Verdict(data, verification)


def is_later(one: Optional[Verdict], other: Optional[Verdict]) -> bool:
    """Whether `one` should take the place of `other`: the last measurement counts."""
    if one is None or other is None:
        return one is not None
    return one.verification.made > other.verification.made


def state(manifest: Manifest, verdict: Optional[Verdict]) -> str:
    """As depth_anything_v2/verification.py tells it of a folder."""
    passed = manifest.parity_limit.passed
    if passed is None and verdict is not None:
        passed = verdict.verification.parity_limit.passed
    return {True: VERIFIED, False: FAILED, None: BUILT}[passed]
