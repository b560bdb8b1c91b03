"""Images without distortion: what a pinhole camera in the place of a lens would have seen.

The new image has the size and the principal point of the old one. Its focal lengths are those of
the lens, or longer, until every px of it was seen by the lens.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from depth.errors import InputError
from depth.scenes.colmap.lenses import Lens
from depth.scenes.scene import Doubles, Mask, Pixels

MAX_SIDE = 32_766  # of what OpenCV remaps
_ZOOM = 8.0  # the most; beyond, the lens is damaged or shows no picture that a pinhole could
_ROUNDS = 20  # of halving: the zoom is right to 1e-5
_EDGE = 129  # px along each side that are tried, and inside
_SLACK = 0.5  # px: a place is in the image up to here outside of it
_BAND_PIXELS = 1 << 20  # of maps in memory at once


@dataclass(frozen=True, eq=False)
class Pinhole:
    """The camera of an undistorted image.

    lens    which made the image
    matrix  [3,3], px of the new image
    """

    lens: Lens
    matrix: Doubles

    def places(self, columns: Doubles, rows: Doubles) -> tuple[Doubles, Doubles]:
        """Px of the old image where the px of the new are; the corner of an image is (0, 0)."""
        x = (columns - self.matrix[0, 2]) / self.matrix[0, 0]
        y = (rows - self.matrix[1, 2]) / self.matrix[1, 1]
        return self.lens.places(x, y)

    def image(self, pixels: Pixels) -> Pixels:
        """The new image [H,W,3] of an old one. Raises InputError for one of another size."""
        height, width = self.lens.size
        if pixels.shape != (height, width, 3):
            raise InputError(f"an image {pixels.shape} of a camera of {width}x{height} px")
        if self.lens.straight:
            return pixels
        found = np.empty_like(pixels)
        band = max(1, _BAND_PIXELS // width)
        columns = np.arange(width) + 0.5
        for top in range(0, height, band):
            rows = np.arange(top, min(top + band, height)) + 0.5
            across, down = self.places(*np.meshgrid(columns, rows))
            places = (across - 0.5).astype(np.float32), (down - 0.5).astype(np.float32)
            found[top : top + band] = cv2.remap(
                pixels, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        return found


def pinhole_of(lens: Lens) -> Pinhole:
    """The camera of the undistorted image of a lens.

    Raises InputError for a lens whose distortion no pinhole camera undoes.
    """
    if lens.straight:
        return Pinhole(lens, lens.matrix)
    if max(lens.size) > MAX_SIDE:
        raise InputError(f"a camera of {max(lens.size)} px a side: expected up to {MAX_SIDE}")
    low, high = 1.0, _ZOOM
    if not _seen(_zoomed(lens, high)):
        raise InputError(
            f"a camera {lens.kind.name} with the parameters {list(lens.parameters)}: its "
            "distortion cannot be undone: undistort the images with COLMAP first"
        )
    if _seen(_zoomed(lens, low)):
        return _zoomed(lens, low)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if _seen(_zoomed(lens, middle)) else (middle, high)
    return _zoomed(lens, high)


def _zoomed(lens: Lens, zoom: float) -> Pinhole:
    matrix = lens.matrix
    matrix[0, 0] *= zoom
    matrix[1, 1] *= zoom
    return Pinhole(lens, matrix)


def _seen(pinhole: Pinhole) -> bool:
    """Whether each px of the new image is in the old one, and no two at the same place."""
    height, width = pinhole.lens.size
    columns, rows = np.meshgrid(np.linspace(0, width, _EDGE), np.linspace(0, height, _EDGE))
    across, down = pinhole.places(columns, rows)
    return bool((_inside(across, width) & _inside(down, height)).all() and _unfolded(across, down))


def _inside(places: Doubles, side: int) -> Mask:
    return (places >= -_SLACK) & (places <= side + _SLACK)  # False for NaN


def _unfolded(across: Doubles, down: Doubles) -> bool:
    """Whether steps to the right and down keep their sense of turn."""
    right, below = np.s_[:-1, 1:], np.s_[1:, :-1]
    first = np.s_[:-1, :-1]
    ax, ay = across[right] - across[first], down[right] - down[first]
    bx, by = across[below] - across[first], down[below] - down[first]
    return bool((ax * by - ay * bx > 0).all())
