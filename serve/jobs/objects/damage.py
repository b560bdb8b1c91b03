"""Whether the files of a result in a store are as its .json says."""

from __future__ import annotations

import os
from typing import Optional, Protocol

from depth.errors import DepthFileError, TooLargeError
from depth.files import sha256_bytes
from depth.images.header import MAX_PIXELS
from depth.maps.meta import MAX_JSON_BYTES, parse_sidecar
from depth.maps.names import SIDECAR_SUFFIX
from depth.store.objects import ObjectStore

_PX_BYTES = 12  # of three float32 channels, the largest that a preset has
MAX_FILE_BYTES = MAX_PIXELS * _PX_BYTES + 2 * MAX_JSON_BYTES


class Listed(Protocol):
    """A file as a .json lists it."""

    @property
    def name(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def sha256(self) -> str: ...


def damage(store: ObjectStore, key: str, data: bytes) -> str:
    """The first file that a .json lists and that is missing or has other bytes; else "".

    key, data  of the .json
    """
    name = key.rpartition("/")[2]
    try:
        files = parse_sidecar(data).files
    except DepthFileError as error:
        return f"{name}: {error}"
    whole = (listed.name for listed in files.values() if listed_bytes(store, key, listed) is None)
    return next(whole, "")


def listed_bytes(store: ObjectStore, key: str, listed: Listed) -> Optional[bytes]:
    """The bytes of a file that the .json of this key lists; None if they are not there as listed.

    Raises StoreError if the store fails.
    """
    if "/" in listed.name or "\0" in listed.name or not 0 <= listed.size_bytes <= MAX_FILE_BYTES:
        return None
    folder, slash, own = key.rpartition("/")
    name = listed.name
    try:
        if not name.startswith(own[: -len(SIDECAR_SUFFIX)]):  # a locale without the key's letters
            name = os.fsencode(name).decode("utf-8", "surrogateescape")
        found = store.read(f"{folder}{slash}{name}", listed.size_bytes)
    except (TooLargeError, UnicodeError):
        return None
    whole = found is not None and sha256_bytes(found.data) == listed.sha256
    return found.data if whole and found is not None else None
