"""The keys in a store, and the rules for names in it.

objects/<sha256>                      the bytes of a program file
artifacts/<identity>/report.json ...  the other files of an artifact
artifacts/<identity>/manifest.json    written last: it makes the artifact visible
aliases/<name>.json                   the artifact that an alias points at
probe                                 for the check that the store honours conditional writes
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Optional

from depth.artifact.manifest import MANIFEST, REPORTS, Manifest, folder_name
from depth.artifact.program import ProgramFile
from depth.artifact.verification import VERIFIED_FILE
from depth.errors import DamagedError, InputError

ARTIFACTS, ALIASES, PROBE = "artifacts/", "aliases/", "probe"
MAX_REPORT_BYTES = 16 << 20
MAX_ALIAS_CHARACTERS = 200

_MANIFEST_KEY = re.compile(rf"{ARTIFACTS}([0-9a-f]{{64}})/{re.escape(MANIFEST)}")
_ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+")
_PREFIX = re.compile(r"[0-9a-f]{6,64}")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # of a path or a folder's name
_SHA256 = re.compile(r"[0-9a-f]{64}")


def object_key(sha256: str) -> str:
    return f"objects/{sha256}"


def manifest_key(identity: str) -> str:
    return companion_key(identity, MANIFEST)


def companion_key(identity: str, name: str) -> str:
    """The key of a file that is not a program."""
    return f"{ARTIFACTS}{identity}/{name}"


def verified_key(identity: str) -> str:
    return companion_key(identity, VERIFIED_FILE)


def alias_key(name: str) -> str:
    return f"{ALIASES}{name}.json"


def identity_in(key: str) -> Optional[str]:
    """The artifact whose manifest has this key; None for any other key."""
    found = _MANIFEST_KEY.fullmatch(key)
    return found[1] if found else None


def alias_in(key: str) -> Optional[str]:
    """The alias that is stored under this key; None for any other key."""
    name = key[len(ALIASES) : -len(".json")]
    return name if is_alias(name) and key == alias_key(name) else None


def is_identity(text: str) -> bool:
    return bool(_SHA256.fullmatch(text))


def is_identity_prefix(text: str) -> bool:
    """Six hexadecimal digits or more."""
    return bool(_PREFIX.fullmatch(text))


def is_alias(text: str) -> bool:
    return len(text) <= MAX_ALIAS_CHARACTERS and bool(_ALIAS.fullmatch(text))


def check_alias(text: str) -> str:
    """The alias. Raises InputError for other text: an identity or a folder's name has no slash."""
    if not is_alias(text):
        raise InputError(
            f"alias {text!r}: expected names joined by /, like vits/inf1/production, of lower-case "
            f"letters, digits and . _ -, at most {MAX_ALIAS_CHARACTERS} characters"
        )
    return text


def program_files(manifest: Manifest) -> Iterator[ProgramFile]:
    for program in manifest.programs:
        yield from program.files


def check_names(manifest: Manifest, identity: str, where: str) -> None:
    """Raise DamagedError if a name in a manifest could lead a download out of its folder."""
    if not _PART.fullmatch(folder_name(manifest, identity)):
        raise DamagedError(
            f"{where}: {folder_name(manifest, identity)!r} is not a name for a folder; refused"
        )
    for file in program_files(manifest):
        parts = file.path.split("/")
        if not all(map(_PART.fullmatch, parts)) or parts[0] in (MANIFEST, VERIFIED_FILE, *REPORTS):
            raise DamagedError(f"{where}: file path {file.path!r} is not usable; refused")
        if not is_identity(file.sha256) or file.size_bytes < 0:
            raise DamagedError(f"{where}: {file.path} has no proper sha256 and size; refused")
