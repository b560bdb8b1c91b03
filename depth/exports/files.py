"""A result and its image -> the bytes of an exported file, which says how it was made."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Optional

import cv2
import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.exports.distance import Distances, distances
from depth.exports.glb import encode_glb
from depth.exports.ply import encode_ply
from depth.exports.surface import EDGE_RATIO, SKY_FROM, Surface, surface
from depth.exports.view import View, view_of
from depth.family import SKY, UNTRAINED
from depth.maps.result import FULL, FloatArray, Result
from depth.sizes import Size
from depth.steps.focal import NOTHING_ASKED, FocalAsked

GLB, PLY = "glb", "ply"
EXPORTS = (GLB, PLY)
MEDIA_TYPES = {GLB: "model/gltf-binary", PLY: "application/x-ply"}

_TEXTURE_PX = 2048  # the longer side of a texture at most
_QUALITY = 90

Pixels = npt.NDArray[np.uint8]


def encode_export(
    result: Result,
    image: Pixels,
    kind: str,
    asked: FocalAsked = NOTHING_ASKED,
    exif_focal: Optional[float] = None,
    image_size: Optional[Size] = None,
) -> bytes:
    """The bytes of an exported file: `glb`, a surface with the image on it, or `ply`, its points.

    image       uint8 [H,W,3] BGR, upright, which may be reduced
    asked       what the user says of the camera; without it, the file says that 60 degrees is
                assumed
    exif_focal  the focal length that the image file says, in px of the whole image
    image_size  (height, width) px of the whole image, if `image` is reduced

    Raises InputError for an unknown kind, an image that the depth is not of, a camera that
    contradicts the result's metres, or depth without a surface.
    """
    if kind not in EXPORTS:
        raise InputError(f"export {kind!r}: expected one of {', '.join(EXPORTS)}")
    size = image_size or (image.shape[0], image.shape[1])
    _check_image(result, image, size)
    view = view_of(result, asked, exif_focal, size)
    focal = None if view.assumed else network_focal(view, result)
    found = distances(result.depth, focal)
    rows, columns = found.z.shape
    flat = surface(found.z, view.on_grid((rows, columns)), result.maps.get(SKY))
    about = described(result, view, found, flat)
    places = _texture_places(flat, (rows, columns), size)
    if kind == PLY:
        return encode_ply(flat.points, _colours(image, places), about)
    return encode_glb(flat, places, _texture(image), about)


def described(result: Result, view: View, found: Distances, flat: Surface) -> dict[str, Any]:
    """What an exported file says of itself: JSON without NaN."""
    made = result.provenance
    return {
        "kind": result.depth.kind,
        "unit": found.unit,
        "relation": found.relation,
        "fit": None if result.fit is None else asdict(result.fit),
        "field_of_view": view.described(),
        "axes": "x right, y up, the camera at the origin looks along -z",
        "points": len(flat.points),
        "triangles": len(flat.triangles),
        "stride": flat.stride,
        "dropped": flat.dropped,
        "rules": {"sky_from": SKY_FROM, "edge_ratio": EDGE_RATIO},
        "provenance": {**asdict(made), "trained": made.weights != UNTRAINED},
    }


def _check_image(result: Result, image: Pixels, size: Size) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"image of {image.dtype} {image.shape}: expected uint8 [H,W,3]")
    depth = result.depth.values.shape
    if result.provenance.output_size == FULL and depth != tuple(size):
        raise InputError(
            f"depth is {depth[1]} x {depth[0]} px, the image {size[1]} x {size[0]} px: "
            "expected the image that the depth was made from"
        )


def network_focal(view: View, result: Result) -> float:
    """The mean focal length in px of the network's input, as metres are made with."""
    (height, width), made = view.image_size, result.provenance
    down, across = made.model_height_px / height, made.model_width_px / width
    return (view.fx * across + view.fy * down) / 2


def _texture_places(flat: Surface, grid: Size, image: Size) -> FloatArray:
    """[N,2], 0 to 1. Corner pixels of the map lie on corner pixels of the image."""
    last = np.maximum(np.array(grid[::-1]) - 1, 1)
    sides = np.array(image[::-1])
    scale, half = ((sides - 1) / sides / last).astype(np.float32), (0.5 / sides).astype(np.float32)
    return flat.places * scale + half


def _colours(image: Pixels, places: FloatArray) -> Pixels:
    """[N,3] RGB: the nearest pixel of each place."""
    height, width = image.shape[:2]
    across = np.minimum((places[:, 0] * width).astype(np.intp), width - 1)
    down = np.minimum((places[:, 1] * height).astype(np.intp), height - 1)
    return np.ascontiguousarray(image[down, across, ::-1])


def _texture(image: Pixels) -> bytes:
    """The image as a JPEG file, reduced to _TEXTURE_PX."""
    height, width = image.shape[:2]
    scale = _TEXTURE_PX / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()
