"""SHA-256 of files and bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Union

_CHUNK_BYTES = 1 << 20


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_bytes(data: Union[bytes, memoryview]) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()
