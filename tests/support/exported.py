"""Results to export, and readers of GLB and PLY by the formats' own words, with struct alone."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from depth.family import METRES
from depth.maps.result import Result
from tests.support.depth_samples import ramp, result

HEIGHT, WIDTH = 9, 13
_SIZES = {5126: 4, 5125: 4}
_COUNTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}


def image(height_px: int = HEIGHT, width_px: int = WIDTH) -> np.ndarray:
    """BGR of two gradients, so that a swap of axes or channels shows."""
    pixels = np.zeros((height_px, width_px, 3), np.uint8)
    pixels[..., 0] = np.linspace(10, 240, width_px).astype(np.uint8)
    pixels[..., 2] = np.linspace(20, 250, height_px).astype(np.uint8)[:, np.newaxis]
    return pixels


def metric(low: float = 2.0, high: float = 2.5) -> Result:
    return result(ramp(HEIGHT, WIDTH, low, high), METRES)


def read_glb(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The document and the binary chunk. Every rule of the container is an assertion."""
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    text_length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    assert text_length % 4 == 0
    document = json.loads(data[20 : 20 + text_length])
    binary_length, kind = struct.unpack_from("<I4s", data, 20 + text_length)
    binary = data[28 + text_length :]
    assert (kind, binary_length) == (b"BIN\0", len(binary))
    assert len(binary) == document["buffers"][0]["byteLength"]
    assert len(binary) % 4 == 0
    return document, binary


def accessor(document: dict[str, Any], binary: bytes, number: int) -> np.ndarray:
    found = document["accessors"][number]
    view = document["bufferViews"][found["bufferView"]]
    each = _SIZES[found["componentType"]] * _COUNTS[found["type"]]
    assert view["byteOffset"] % 4 == 0
    assert view["byteLength"] == each * found["count"]
    assert view["byteOffset"] + view["byteLength"] <= len(binary)
    code = "f" if found["componentType"] == 5126 else "I"
    count = view["byteLength"] // 4
    flat = struct.unpack_from(f"<{count}{code}", binary, view["byteOffset"])
    values = np.array(flat, np.float64).reshape(found["count"], -1)
    np.testing.assert_allclose(values.min(0), found["min"])
    np.testing.assert_allclose(values.max(0), found["max"])
    return values


def read_ply(data: bytes) -> tuple[dict[str, Any], list[tuple[float, ...]]]:
    """The comments by name, and the rows of x, y, z, red, green, blue."""
    header, _, body = data.partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert max(map(len, lines)) < 1000
    comments = [line.split(" ", 2)[1:] for line in lines if line.startswith("comment ")]
    (count,) = [int(line.split()[2]) for line in lines if line.startswith("element vertex ")]
    properties = [line.split()[1:] for line in lines if line.startswith("property ")]
    assert properties == [
        *(["float", axis] for axis in "xyz"),
        *(["uchar", colour] for colour in ("red", "green", "blue")),
    ]
    rows = list(struct.iter_unpack("<fffBBB", body))
    assert len(rows) == count
    return {name: json.loads(value) for name, value in comments}, rows
