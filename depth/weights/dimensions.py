"""The dimensions of the network that a file of weights is for. Reads names and one shape only.

Runs nothing in the file and needs no torch, so a wrong file is refused before any work begins.
"""

from __future__ import annotations

import json
import pickletools
import re
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, Optional

from depth.files import reading

_MAX_BYTES = 1 << 24  # of a list of names; that of the largest model has 0.2 MB
_EMBEDDING = re.compile(r"(?:^|\.)(?:pos_embed|position_embeddings)$")
_BLOCK = re.compile(r"(?:^|\.)(?:blocks|layer)\.(\d+)\.")
_INTEGERS = ("BININT", "BININT1", "BININT2")
_MEMOS = ("BINPUT", "LONG_BINPUT", "MEMOIZE")
_UNREADABLE = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)


def dimensions(path: Path) -> Optional[tuple[int, int]]:
    """Width and number of blocks of the encoder; None for a file that does not say. Never raises.

    In any layout whose position embedding and blocks have their usual names.
    """
    try:
        with reading(path) as file:
            names, shape = _of_zip(file) if zipfile.is_zipfile(file) else _of_safetensors(file)
        _, _, width = map(int, shape)
    except _UNREADABLE:
        return None
    blocks = {found[1] for found in map(_BLOCK.search, names) if found}
    return (width, len(blocks)) if blocks else None


def _of_safetensors(file: BinaryIO) -> tuple[Collection[str], list[int]]:
    """Names, and the shape of the position embedding, from the header."""
    file.seek(0)
    size_bytes = int.from_bytes(file.read(8), "little")
    if size_bytes > _MAX_BYTES:
        raise ValueError("no header of weights")
    header = json.loads(file.read(size_bytes))
    (shape,) = (entry["shape"] for name, entry in header.items() if _EMBEDDING.search(name))
    return header, shape


def _of_zip(file: BinaryIO) -> tuple[Collection[str], list[int]]:
    """The same from the instructions of a pickle, which are listed and not run.

    A tensor's shape is the first tuple of three integers after its name.
    """
    with zipfile.ZipFile(file) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(name) as part:
            data = part.read(_MAX_BYTES)
    names: list[str] = []
    shape: list[int] = []
    integers: list[int] = []
    named = False  # the position embedding
    for code, argument, _ in pickletools.genops(data):
        if isinstance(argument, str):
            names.append(argument)
            named = named or bool(_EMBEDDING.search(argument))
        if code.name in _INTEGERS:
            integers.append(int(argument or 0))
        elif code.name == "TUPLE3" and named and not shape and len(integers) >= 3:
            shape = integers[-3:]
        elif code.name not in _MEMOS:
            integers = []
    return names, shape
