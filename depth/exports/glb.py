"""A surface as glTF 2.0 in one binary file: triangles with the image as their texture.

The format: Khronos, "glTF 2.0 Specification" (ISO/IEC 12113), its chapter "GLB File Format", and
the extension KHR_materials_unlit, since a photograph has its light in it already.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from depth.exports.surface import Surface
from depth.maps.result import FloatArray

GENERATOR = "depth/exports/glb.py of depth-anything-inferentia"
_FLOAT, _UNSIGNED_INT = 5126, 5125  # component types
_VERTICES, _INDICES = 34962, 34963  # targets of buffer views
_LINEAR, _MIPMAPS, _TO_EDGE = 9729, 9987, 33071  # of a sampler
_JSON, _BIN = 0x4E4F534A, 0x004E4942  # chunks
_UNLIT = "KHR_materials_unlit"


def encode_glb(
    found: Surface, texture_places: FloatArray, texture_jpeg: bytes, about: Mapping[str, Any]
) -> bytes:
    """A GLB file of one mesh.

    texture_places  [N,2] float32, u and v of each point: 0 at the image's left and upper edge, 1 at
                    its right and lower edge
    texture_jpeg    the image, a JPEG file
    about           the description: the file has it as `asset.extras`
    """
    parts: tuple[tuple[bytes, int | None], ...] = (
        (found.points.astype("<f4").tobytes(), _VERTICES),
        (texture_places.astype("<f4").tobytes(), _VERTICES),
        (found.triangles.astype("<u4").tobytes(), _INDICES),
        (texture_jpeg, None),
    )
    binary, views = bytearray(), []
    for data, target in parts:
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(binary), "byteLength": len(data)}
        views.append(view if target is None else {**view, "target": target})
        binary += data + b"\0" * (-len(data) % 4)
    document = {
        "asset": {"version": "2.0", "generator": GENERATOR, "extras": dict(about)},
        **_scene(),
        "accessors": [
            {"bufferView": 0, **_accessor(found.points, "VEC3")},
            {"bufferView": 1, **_accessor(texture_places, "VEC2")},
            {
                "bufferView": 2,
                "componentType": _UNSIGNED_INT,
                "count": found.triangles.size,
                "type": "SCALAR",
                "min": [int(found.triangles.min())],
                "max": [int(found.triangles.max())],
            },
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    return container(text, bytes(binary))


def _scene() -> dict[str, Any]:
    """The parts that say nothing of numbers: scene, node, mesh, material, texture."""
    primitive = {
        "attributes": {"POSITION": 0, "TEXCOORD_0": 1},
        "indices": 2,
        "material": 0,
        "mode": 4,  # triangles
    }
    colour = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 1.0}
    material = {"pbrMetallicRoughness": colour, "extensions": {_UNLIT: {}}, "doubleSided": True}
    sampler = {"magFilter": _LINEAR, "minFilter": _MIPMAPS, "wrapS": _TO_EDGE, "wrapT": _TO_EDGE}
    return {
        "extensionsUsed": [_UNLIT],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "depth"}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [material],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [sampler],
        "images": [{"bufferView": 3, "mimeType": "image/jpeg"}],
    }


def _accessor(values: npt.NDArray[np.float32], kind: str) -> dict[str, Any]:
    return {
        "componentType": _FLOAT,
        "count": len(values),
        "type": kind,
        "min": values.min(0).tolist(),
        "max": values.max(0).tolist(),
    }


def container(text: bytes, binary: bytes) -> bytes:
    """A GLB file of its two chunks: the document, JSON, and a buffer of a multiple of 4 bytes."""
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + len(binary)
    start = struct.pack("<4sII", b"glTF", 2, length)
    chunks = [struct.pack("<II", len(text), _JSON), text]
    return b"".join([start, *chunks, struct.pack("<II", len(binary), _BIN), binary])
