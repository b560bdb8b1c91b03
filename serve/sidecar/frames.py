"""Frames between a worker and its clients: a prefix of 16 bytes, a JSON header, a payload.

    "DSC1" | u32 header bytes | u64 payload bytes | header, UTF-8 JSON object | payload

Numbers are little-endian. Needs the standard library only, so that clients can use it alone.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

PROTOCOL = 1
MAGIC = b"DSC1"
MAX_HEADER_BYTES = 65_536
MAX_REQUEST_BYTES = 200_000_000  # of a payload to a worker: the largest image file
MAX_REPLY_BYTES = 1_200_000_000  # of a payload from a worker: 100 megapixels as JSON, and more

_PREFIX = struct.Struct("<4sIQ")
_CHUNK_BYTES = 1 << 20

ReadInto = Callable[[memoryview], int]  # how many bytes it read; 0 at the end
Write = Callable[[Union[bytes, memoryview]], Any]  # writes all of it
Payload = Union[bytes, bytearray, memoryview]


class FrameError(ValueError):
    """The bytes are no frame, or a frame over a limit: what follows cannot be read either."""


class HeaderError(ValueError):
    """A whole frame whose header is not a JSON object. The next frame can be read."""


@dataclass(frozen=True)
class Head:
    """A frame whose payload is not read yet."""

    header: Union[Mapping[str, Any], HeaderError]
    payload_bytes: int


class FrameReader:
    """Reads frames. For each, call `head`, and then `payload` or `skip`.

    max_payload_bytes  a larger payload is refused before any memory is taken
    """

    def __init__(self, readinto: ReadInto, max_payload_bytes: int) -> None:
        self._readinto = readinto
        self._max_payload_bytes = max_payload_bytes

    def head(self) -> Optional[Head]:
        """The next frame, or None where the stream ends between frames. Raises FrameError."""
        prefix = self._read(_PREFIX.size, may_end=True)
        if prefix is None:
            return None
        magic, header_bytes, payload_bytes = _PREFIX.unpack(prefix)
        if magic != MAGIC:
            raise FrameError(f"a frame begins with {MAGIC!r}, these bytes with {magic!r}")
        for part, size, limit in (
            ("header", header_bytes, MAX_HEADER_BYTES),
            ("payload", payload_bytes, self._max_payload_bytes),
        ):
            if size > limit:
                raise FrameError(f"a {part} of {size} bytes: expected at most {limit}")
        return Head(_parsed(self._read(header_bytes) or bytearray()), payload_bytes)

    def payload(self, head: Head) -> bytearray:
        """The payload of the frame whose head was read last. Raises FrameError."""
        return self._read(head.payload_bytes) or bytearray()

    def skip(self, head: Head) -> None:
        """Read past that payload without keeping it. Raises FrameError."""
        left = head.payload_bytes
        while left:
            left -= len(self._read(min(left, _CHUNK_BYTES)) or b"")

    def _read(self, size: int, may_end: bool = False) -> Optional[bytearray]:
        data = bytearray(size)
        view, done = memoryview(data), 0
        while done < size:
            count = self._readinto(view[done:])
            if not count:
                if may_end and not done:
                    return None
                raise FrameError(f"the stream ended {size - done} bytes before the frame did")
            done += count
        return data


def write_frame(write: Write, header: Mapping[str, Any], payload: Payload = b"") -> None:
    """Write one frame. Raises ValueError for a header that is too large or no JSON."""
    view = memoryview(payload).cast("B")
    text = json.dumps(header, allow_nan=False).encode()
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {len(text)} bytes: expected at most {MAX_HEADER_BYTES}")
    write(_PREFIX.pack(MAGIC, len(text), len(view)) + text)
    if len(view):
        write(view)


def _parsed(data: bytearray) -> Union[Mapping[str, Any], HeaderError]:
    try:
        found = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return HeaderError(f"the header of a frame is no JSON: {error}")
    if not isinstance(found, dict):
        return HeaderError(f"the header of a frame is a {type(found).__name__}: expected an object")
    return found


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
