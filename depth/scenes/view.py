"""A view at the size that an export writes: the scene's own, or that of its source image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.scenes.options import OWN, SOURCE
from depth.scenes.scene import Doubles, Mask, Pixels, Scene
from depth.sizes import Size

_EDGE = 0.04  # where interpolated depth leaves the nearest value by more, an edge of things passes


@dataclass(frozen=True, eq=False)
class Frame:
    """How a view's own px lie in what is written: x' = scale * x + offset.

    size        (height, width) px
    intrinsics  [3,3] px
    scale       along x and y
    offset      px along x and y
    """

    size: Size
    intrinsics: Doubles
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def places(self, own: Doubles) -> Doubles:
        """[N,2] px of the scene's own maps -> [N,2] px of this frame."""
        return own * np.array(self.scale) + np.array(self.offset)


@dataclass(frozen=True, eq=False)
class View:
    """The maps of a view, all of the frame's size; None is what the scene has not."""

    frame: Frame
    depth: FloatArray
    confidence: Optional[FloatArray]
    sky: Optional[Mask]


def frame_of(scene: Scene, view: int, size: str) -> Frame:
    """The frame of a view at one of SIZES; without sources, both are the scene's own."""
    own = scene.intrinsics[view]
    if size == OWN or scene.sources is None:
        return Frame(scene.size, own)
    source = scene.sources[view]
    left, top, wide, high = source.part
    height, width = scene.size
    across, down = wide / width, high / height
    matrix = np.array([[across, 0, left], [0, down, top], [0, 0, 1.0]]) @ own
    return Frame(source.size, matrix, (across, down), (left, top))


def view_of(scene: Scene, view: int, size: str) -> View:
    """A view at one of SIZES. Outside the source's window depth is 0, as where there is none."""
    frame = frame_of(scene, view, size)
    depth = scene.depth[view]
    confidence = None if scene.confidence is None else scene.confidence[view]
    sky = None if scene.sky is None else scene.sky[view]
    grid = _Grid(frame, scene.size)
    if grid.idle:
        return View(frame, depth, confidence, sky)
    return View(
        frame,
        grid.depth(depth),
        None if confidence is None else grid.smooth(confidence),
        None if sky is None else grid.nearest(sky),
    )


def has_images(scene: Scene, size: str) -> bool:
    """Whether the scene has an image of each view at one of SIZES."""
    return scene.images is not None or (size == SOURCE and scene.sources is not None)


def image_of(scene: Scene, view: int, size: str) -> Pixels:
    """The image of a view [H,W,3] RGB at one of SIZES. Raises InputError if there is none."""
    if size == SOURCE and scene.sources is not None:
        return scene.sources[view].pixels()
    if scene.images is None:
        raise InputError("the scene has no images")
    return scene.images[view]


class _Grid:
    """Where the px of a frame lie in the px of the scene's own maps."""

    def __init__(self, frame: Frame, own: Size) -> None:
        self.idle = frame.size == own and frame.scale == (1, 1) and frame.offset == (0, 0)
        (across, down), (left, top) = frame.scale, frame.offset
        self._rows = _Axis(own[0], frame.size[0], down, top)
        self._columns = _Axis(own[1], frame.size[1], across, left)

    def nearest(self, values: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        found = values[self._rows.nearest][:, self._columns.nearest]
        return found & self._inside()

    def smooth(self, values: FloatArray) -> FloatArray:
        """Bilinear; 0 outside the window."""
        return np.where(self._inside(), self._linear(values), np.float32(0))

    def depth(self, values: FloatArray) -> FloatArray:
        """Bilinear, but the nearest value at edges of things and beside missing depth."""
        near, linear = values[self._rows.nearest][:, self._columns.nearest], self._linear(values)
        good = np.abs(linear - near) <= np.float32(_EDGE) * near
        if not values.all():
            good &= self._linear((values > 0).astype(np.float32)) == 1
        return np.where(self._inside(), np.where(good, linear, near), np.float32(0))

    def _linear(self, values: FloatArray) -> FloatArray:
        r, c = self._rows, self._columns
        rows = values[r.low] + (values[r.high] - values[r.low]) * r.weight[:, np.newaxis]
        return rows[:, c.low] + (rows[:, c.high] - rows[:, c.low]) * c.weight

    def _inside(self) -> Mask:
        return self._rows.inside[:, np.newaxis] & self._columns.inside


class _Axis:
    """Where the px of one axis of a frame lie among those of the scene's own maps."""

    def __init__(self, own: int, count: int, scale: float, offset: float) -> None:
        at = (np.arange(count) + 0.5 - offset) / scale - 0.5  # from the first pixel's centre
        self.inside = (at >= -0.5) & (at <= own - 0.5)
        at = np.clip(at, 0, own - 1)
        self.nearest = np.floor(at + 0.5).astype(np.intp)
        self.low = np.floor(at).astype(np.intp)
        self.high = np.minimum(self.low + 1, own - 1)
        self.weight = (at - self.low).astype(np.float32)
