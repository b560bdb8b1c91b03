"""`depth_vis`: for each view the image at the left and its depth in colours at the right.

As upstream draws it: inverse depth between its 2nd and 98th percentile, near is red, far is blue.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from depth.family import METRES
from depth.maps.preview import colours_of
from depth.maps.result import FloatArray
from depth.scenes.formats.files import Files
from depth.scenes.formats.images import encoded
from depth.scenes.options import Options
from depth.scenes.scene import Pixels, Scene
from depth.scenes.view import has_images, image_of, view_of

_PERCENTILES = (2, 98)
_FEW = 10  # values: fewer have no percentiles


def files(scene: Scene, options: Options) -> Files:
    """A picture for each view."""
    return {
        f"depth_vis/{view:04d}.jpg": partial(picture, scene, view, options.size)
        for view in range(len(scene))
    }


def picture(scene: Scene, view: int, size: str) -> bytes:
    """The JPEG file of one view; of a scene without images, depth alone."""
    found = colours(view_of(scene, view, size).depth)
    if has_images(scene, size):
        found = np.hstack([image_of(scene, view, size), found])
    return encoded(found, ".jpg")


def colours(depth: FloatArray) -> Pixels:
    """[H,W] -> [H,W,3] RGB. Pixels without depth are as far as the farthest."""
    known = depth > 0
    inverse = np.zeros_like(depth)
    np.divide(1, depth, out=inverse, where=known)
    low = high = 0.0
    if np.count_nonzero(known) > _FEW:
        low, high = map(float, np.percentile(inverse[known], _PERCENTILES))
    if low == high:
        low, high = low - 1e-6, high + 1e-6
    share = 1 - np.clip((inverse - low) / (high - low), 0, 1)
    levels = np.minimum(share * 256, 255).astype(np.uint8)
    return colours_of(levels, METRES)[..., ::-1]
