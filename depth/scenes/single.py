"""The result of one image, of a model without cameras, as a scene of one view."""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np

from depth.errors import InputError
from depth.exports.distance import distances
from depth.exports.files import network_focal
from depth.exports.surface import SKY_FROM
from depth.exports.view import View
from depth.family import CONFIDENCE, RELATIVE_INVERSE, SKY
from depth.maps.result import FloatArray, Result
from depth.scenes.scene import Pixels, Scene, Source


def scene_of(result: Result, view: View, name: str, image: Optional[Pixels] = None) -> Scene:
    """A scene whose camera is at the origin and looks along z.

    view   the camera of the whole image, known or assumed: `view_of` of `depth/exports/view.py`
    name   of the image
    image  uint8 [H,W,3] RGB, the whole image; None if exports are to do without

    Raises InputError for inverse depth, whose proportions nobody knows, and for an image or map of
    another size than it should have.
    """
    if result.depth.kind == RELATIVE_INVERSE:
        raise InputError(
            "a scene needs depth, and the result is inverse depth without scale and shift: take a "
            "model of another kind, or export one surface"
        )
    found = distances(result.depth, None if view.assumed else network_focal(view, result))
    rows, columns = found.z.shape
    height, width = view.image_size
    if image is not None and (image.dtype != np.uint8 or image.shape != (height, width, 3)):
        raise InputError(
            f"image of {image.dtype} {image.shape}: expected uint8 {(height, width, 3)}"
        )
    focal = view.fx * columns / width, view.fy * rows / height
    intrinsics = np.array([[focal[0], 0, columns / 2], [0, focal[1], rows / 2], [0, 0, 1]])
    sky, confidence = _map(result, SKY, rows, columns), _map(result, CONFIDENCE, rows, columns)
    return Scene(
        depth=np.maximum(found.z, 0)[np.newaxis],
        extrinsics=np.eye(3, 4)[np.newaxis],
        intrinsics=intrinsics[np.newaxis],
        names=(name,),
        provenance=result.provenance,
        unit=found.unit,
        confidence=None if confidence is None else confidence[np.newaxis],
        sky=None if sky is None else (sky >= SKY_FROM)[np.newaxis],
        images=None if image is None else _resized(image, rows, columns)[np.newaxis],
        sources=None if image is None else (Source((height, width), lambda: image),),
        assumed="the angle of view" if view.assumed else None,
    )


def _map(result: Result, name: str, rows: int, columns: int) -> Optional[FloatArray]:
    if name not in result.maps:
        return None
    values = result.maps[name].values
    if values.shape != (rows, columns):
        raise InputError(f"the map {name!r} is {values.shape}, depth is {(rows, columns)}")
    return values


def _resized(image: Pixels, rows: int, columns: int) -> Pixels:
    if image.shape[:2] == (rows, columns):
        return image
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)
