"""Files as answers: opened once, never through a link, and sent in parts."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

from fastapi.responses import StreamingResponse

from depth.files import NO_LINK, reading

_PART_BYTES = 1 << 18
_OTHER = "application/octet-stream"
MEDIA_TYPES = {  # never a type that a browser runs
    ".bin": _OTHER,
    ".glb": "model/gltf-binary",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".npz": "application/zip",
    ".ply": _OTHER,
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
}


def file_answer(path: Path) -> StreamingResponse:
    """A regular file as it is when this returns. Raises OSError."""
    file = reading(path, NO_LINK)
    size_bytes = os.fstat(file.fileno()).st_size
    media_type = MEDIA_TYPES.get(path.suffix.lower(), _OTHER)
    headers = {"Content-Length": str(size_bytes), "Cache-Control": "no-cache"}
    return StreamingResponse(_parts(file), media_type=media_type, headers=headers)


def zip_answer(folder: Path, files: Iterable[Path], name: str) -> StreamingResponse:
    """Files below a folder as one ZIP, made while it is sent, without compression.

    name  of the file that a browser saves: plain ASCII
    """
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    parts = _zipped(folder, list(files))
    return StreamingResponse(parts, media_type="application/zip", headers=headers)


def _parts(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while part := file.read(_PART_BYTES):
            yield part


def _zipped(folder: Path, files: list[Path]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            name = str(path.relative_to(folder))
            with reading(path, NO_LINK) as file, archive.open(name, "w", force_zip64=True) as entry:
                for part in _parts(file):
                    entry.write(part)
                    yield sink.taken()
    yield sink.taken()


class _Sink(RawIOBase):
    """A stream that cannot seek, and whose bytes are taken out as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def taken(self) -> bytes:
        found = bytes(self._held)
        self._held.clear()
        return found
