"""`feat_vis`: features of chosen blocks as pictures, beside the images, and as a video.

As upstream draws them: the three principal components over all views become red, green and blue,
each from its 10th to its 90th percentile. A video needs PyAV.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial

import cv2
import numpy as np

from depth.errors import InputError
from depth.images.film import encoded_mp4
from depth.images.video import has_video
from depth.maps.result import FloatArray
from depth.scenes.formats.files import Files
from depth.scenes.formats.images import encoded
from depth.scenes.options import OWN, Options
from depth.scenes.scene import Pixels, Scene
from depth.scenes.view import has_images, image_of

_COMPONENTS = 3
_PERCENTILES = (10, 90)
_LEAST_RANGE = 1e-4


def files(scene: Scene, options: Options) -> Files:
    """A folder of pictures for each block, all of the scene's own size, and perhaps its video.

    Raises InputError if the scene has no features.
    """
    if not scene.features:
        raise InputError(
            "feat_vis needs features, and the scene has none: name blocks by export_feat_layers "
            "of a model that is not compiled; a compiled program has no such outputs"
        )
    found: Files = {}
    for name, values in scene.features.items():
        shown = _Shown(scene, values)
        for view in range(len(scene)):
            path = f"feat_vis/{name}/{view:06d}.jpg"
            found[path] = partial(shown.jpeg, view)
        if has_video():
            found[f"feat_vis/{name}.mp4"] = partial(shown.mp4, options.fps)
    return found


class _Shown:
    """The features of one block as pictures; computed when the first is asked for."""

    def __init__(self, scene: Scene, values: FloatArray) -> None:
        self._scene, self._values = scene, values

    def picture(self, view: int) -> Pixels:
        height, width = self._scene.size
        cells = self._colours[view]
        found = cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST)
        found = found.astype(np.uint8, copy=False)
        if has_images(self._scene, OWN):
            return np.hstack([image_of(self._scene, view, OWN), found])
        return found

    def jpeg(self, view: int) -> bytes:
        return encoded(self.picture(view), ".jpg")

    def mp4(self, fps: float) -> bytes:
        def pictures() -> Iterator[Pixels]:
            yield from map(self.picture, range(len(self._scene)))

        return encoded_mp4(pictures(), fps)

    @cached_property
    def _colours(self) -> Pixels:
        return colours(self._values)


def colours(features: FloatArray) -> Pixels:
    """[S,h,w,C] -> [S,h,w,3] RGB. The same features give the same colours: nothing is drawn."""
    rows = np.nan_to_num(features.reshape(-1, features.shape[-1]), nan=0.0, posinf=1e6, neginf=-1e6)
    rows = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    if rows.shape[1] < _COMPONENTS:
        rows = np.pad(rows, ((0, 0), (0, _COMPONENTS - rows.shape[1])))
    _, vectors = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    axes = vectors[:, : -_COMPONENTS - 1 : -1]  # the strongest first
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[np.newaxis], axis=0)
    found = rows @ (axes * np.sign(largest)).astype(np.float32)
    low, high = np.percentile(found, _PERCENTILES, axis=0).astype(np.float32)
    share = np.clip((found - low) / np.maximum(high - low, _LEAST_RANGE), 0, 1)
    return (share * 255).astype(np.uint8).reshape(*features.shape[:3], _COMPONENTS)
