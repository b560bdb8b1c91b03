"""What an artifact's identity is compared with, before anything of the artifact is used.

A folder that describes itself proves nothing by itself: who edits the manifest edits the identity
too. So the identity is compared with what is known from elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

from depth.errors import ArtifactError, InputError

IDENTITY_DIGITS = 12  # of the identity, in a folder's name

_NAMED = re.compile(rf".*-([0-9a-f]{{{IDENTITY_DIGITS}}})")
_GIVEN = re.compile(rf"[0-9a-f]{{{IDENTITY_DIGITS},64}}")


def expected_digits(folder: Path, given: Optional[str] = None) -> dict[str, str]:
    """First digits that the identity must have, by where they are from: {} if nothing is known.

    given  the identity as the caller knows it: see `identity_digits`
    A link counts by its own name and by the name of the folder that it leads to. Raises InputError
    if `given` is no identity.
    """
    found = {}
    for name in (folder.name, folder.resolve().name):
        named = _NAMED.fullmatch(name)
        if named:
            found[f"the folder's name {name}"] = named[1]
    if given is not None:
        found["the given identity"] = identity_digits(given)
    return found


def identity_digits(given: str) -> str:
    """The first digits of an identity, given as 12 digits or more, or by an artifact's folder name.

    Raises InputError for another text.
    """
    named = _NAMED.fullmatch(given)
    if named:
        return named[1]
    if not _GIVEN.fullmatch(given):
        raise InputError(
            f"identity {given!r}: expected its first {IDENTITY_DIGITS} digits or more, of 0-9 and "
            "a-f, or the name of an artifact's folder"
        )
    return given


def check_identity(folder: Path, identity: str, given: Optional[str] = None) -> None:
    """Raise ArtifactError unless the identity of a folder's manifest is the expected one.

    As `expected_digits`.
    """
    for source, digits in expected_digits(folder, given).items():
        if not identity.startswith(digits):
            raise ArtifactError(
                f"{folder}: its manifest has the identity {identity[:IDENTITY_DIGITS]}..., "
                f"{source} says {digits[:IDENTITY_DIGITS]}...; the manifest was altered, or this "
                "is another artifact: compile or pull it again"
            )
