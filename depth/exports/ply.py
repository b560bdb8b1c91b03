"""Points as PLY: binary, little-endian, each with its colour. Any viewer of point clouds reads it.

The format: Greg Turk, "The PLY Polygon File Format", 1994.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from depth.maps.result import FloatArray

_VERTEX = np.dtype(
    [(axis, "<f4") for axis in "xyz"] + [(colour, "u1") for colour in ("red", "green", "blue")]
)
_NAMES = {"<f4": "float", "|u1": "uchar"}


def encode_ply(
    points: FloatArray, colours: npt.NDArray[np.uint8], about: Mapping[str, Any]
) -> bytes:
    """A PLY file.

    points   [N,3] float32
    colours  [N,3] uint8, RGB
    about    the description: its header has a comment for each entry, `comment provenance.model
             "vits"`, the value in JSON. One long line is more than some readers take
    """
    vertices = np.empty(len(points), _VERTEX)
    for number, axis in enumerate("xyz"):
        vertices[axis] = points[:, number]
    for number, colour in enumerate(("red", "green", "blue")):
        vertices[colour] = colours[:, number]
    return ply_file(vertices, about)


def ply_file(vertices: npt.NDArray[Any], about: Mapping[str, Any]) -> bytes:
    """A PLY file of a structured array [N]: a property for each of its fields, float32 or uint8.

    about  as of `encode_ply`
    """
    kinds = ((name, vertices.dtype[name].str) for name in vertices.dtype.names or ())
    properties = [f"property {_NAMES[kind]} {name}" for name, kind in kinds]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        *_comments(about),
        f"element vertex {len(vertices)}",
        *properties,
        "end_header\n",
    ]
    return "\n".join(header).encode("ascii") + vertices.tobytes()


def _comments(about: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in about.items():
        if isinstance(value, Mapping):
            yield from _comments(value, f"{before}{name}.")
        else:
            yield f"comment {before}{name} {json.dumps(value, ensure_ascii=True, allow_nan=False)}"
