"""Depth maps as bytes for another program: JSON, raw float32 with a header, NPY and 16-bit PNG.

The raw form, 32 bytes and then the values row by row, all little-endian:

    offset  bytes
         0      8  "DEPTHF32"
         8      2  version, 1
        10      1  code of what the values are: a place in CODES
        11      1  1 for a stub, else 0
        12      4  height
        16      4  width
        20      4  smallest value, float32
        24      4  largest value, float32
        28      4  zero
        32   4*h*w values, float32
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from depth.errors import DepthFileError, InputError
from depth.family import NETWORK_DEPTHS
from depth.images.header import MAX_PIXELS
from depth.maps.files import encode_map
from depth.maps.result import FloatArray
from depth.presets.sp3d import encode_sp3d
from depth.presets.values import near1
from serve.jobs.stage import ImageResult
from serve.sidecar.values import NEAR1, is_stub

JSON, RAW, NPY, PNG16, SHM = "json", "raw", "npy", "png16", "shm"
FORMATS = (RAW, JSON, NPY, PNG16, SHM)

MAGIC, VERSION = b"DEPTHF32", 1
CODES = (NEAR1, *NETWORK_DEPTHS)  # what the values are, by the code in the raw form
HEADER_BYTES = 32
_HEADER = struct.Struct("<8sHBBIIffI")


@dataclass(frozen=True)
class Values:
    """The depth of a result as it is handed out, and what its numbers mean."""

    values: FloatArray  # [H,W]
    kind: str  # one of CODES
    stub: bool

    @staticmethod
    def of(result: ImageResult, wanted: str) -> Values:
        """wanted: `near1`, or `native` for what the model gives."""
        found = result.depth
        near = wanted == NEAR1
        values = near1(found) if near else np.ascontiguousarray(found.values)
        return Values(values, NEAR1 if near else found.kind, is_stub(result))


def encode(result: ImageResult, kind: str, wanted: str) -> Sequence[Any]:
    """The parts of the bytes of a result's depth in a format. Raises InputError for a mismatch."""
    if kind == PNG16:
        if wanted == NEAR1:
            raise InputError("png16 holds native values, and its scale: leave near1 out")
        return [encode_map(result, "png", result.source).data]
    found = Values.of(result, wanted)
    if kind == JSON:
        if found.kind != NEAR1:
            raise InputError("json holds values from 0 to 1: ask for near1, or for raw or npy")
        return [as_json(found)]
    return [as_npy(found)] if kind == NPY else as_raw(found)


def as_json(found: Values) -> bytes:
    """`{"height": H, "width": W, "depth": [...]}`, with `"stub": true` in front for a stub.

    Each number has 6 decimals, so it takes 9 bytes with its comma.
    """
    return encode_sp3d(found.values, found.stub)


def as_npy(found: Values) -> bytes:
    """The bytes of an NPY file: float32 [H,W]."""
    stream = io.BytesIO()
    np.save(stream, found.values, allow_pickle=False)
    return stream.getvalue()


def as_raw(found: Values) -> tuple[bytes, memoryview]:
    """Header and values of the raw form."""
    values = np.ascontiguousarray(found.values, "<f4")
    facts = (CODES.index(found.kind), int(found.stub), *values.shape)
    low, high = float(values.min()), float(values.max())
    return _HEADER.pack(MAGIC, VERSION, *facts, low, high, 0), values.data.cast("B")


def read_raw(data: bytes) -> Values:
    """What `as_raw` made. Raises DepthFileError for other bytes."""
    if len(data) < HEADER_BYTES or data[:8] != MAGIC:
        raise DepthFileError(f"no raw depth: expected a header that begins with {MAGIC!r}")
    _, version, code, stub, height, width, *_ = _HEADER.unpack_from(data)
    if version != VERSION or code >= len(CODES) or stub > 1:
        raise DepthFileError(f"raw depth of version {version}, code {code}: read version {VERSION}")
    if not 0 < height * width <= MAX_PIXELS or len(data) != HEADER_BYTES + 4 * height * width:
        raise DepthFileError(f"raw depth of {height}x{width} in {len(data)} bytes: damaged")
    values = np.frombuffer(data, "<f4", offset=HEADER_BYTES).reshape(height, width)
    return Values(values.astype(np.float32), CODES[code], bool(stub))
