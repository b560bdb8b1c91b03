"""What was measured on the device, as a store holds it: it may come later than its artifact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from depth.artifact.manifest import Artifact
from depth.artifact.verification import VERIFIED_FILE, Verification, parse_verification
from depth.errors import ArtifactError, StoreError


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
        return Verdict(data, parse_verification(data, identity, where))
    except ArtifactError as error:
        raise StoreError(f"{error} and push that") from error


def is_later(one: Optional[Verdict], other: Optional[Verdict]) -> bool:
    """Whether `one` should take the place of `other`: the last measurement counts."""
    if one is None or other is None:
        return one is not None
    return one.verification.made > other.verification.made
