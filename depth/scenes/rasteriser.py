"""Gaussians become pictures: EWA splatting (Zwicker et al., 2001), as renderers of Gaussians do it.

Each Gaussian is an ellipse of a picture, cut off at three standard deviations. The ellipses of a
pixel are drawn over each other, the nearest first. Everything is numpy: a picture takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth.maps.result import FloatArray
from depth.scenes.scene import Doubles, Pixels
from depth.sizes import Size
from depth.steps.gaussians import Gaussians, matrices_of
from depth.steps.harmonics import harmonics_of

_NEAR = 1e-2  # of the median distance: nearer Gaussians are not drawn
_BLUR = 0.3  # px^2 that are added to each ellipse, so that none falls between two pixels
_EDGE = 3.0  # standard deviations
_BESIDE = 1.3  # of half a picture: slopes beyond that are cut, where the approximation fails
_LEAST, _MOST = 1 / 255, 0.99  # opacity in a pixel: less is not drawn, more is cut
_PAIRS = 4_000_000  # of Gaussians and pixels at a time, in 0.5 GB

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lens:
    """A camera: world to camera [3,4], px [3,3], and the size (height, width) px of the picture."""

    extrinsics: Doubles
    intrinsics: Doubles
    size: Size


@dataclass(frozen=True, eq=False)
class Ellipses:
    """The Gaussians in front of a camera, the nearest first.

    places   [N,2] px
    inverse  [N,3]: a, b, c of axx + 2bxy + cyy
    low      [N,2]: the first column and row whose centre is in the box around it
    high     [N,2]: one after the last
    opacity  [N]
    colours  [N,3], 0 to 1
    """

    places: FloatArray
    inverse: FloatArray
    low: Places
    high: Places
    opacity: FloatArray
    colours: FloatArray
    size: Size

    @property
    def pairs(self) -> int:
        """How many pixels all boxes have together: what a picture costs."""
        return int(np.prod(self.high - self.low, axis=1).sum())

    def picture(self) -> Pixels:
        """[H,W,3] RGB on black."""
        height, width = self.size
        found = np.zeros((height * width, 3), np.float32)
        for rows in self._bands():
            self._draw(rows, found)
        return (np.clip(found, 0, 1).reshape(height, width, 3) * 255 + 0.5).astype(np.uint8)

    def _bands(self) -> Iterator[tuple[int, int]]:
        """Rows that are drawn at a time."""
        widths = self.high[:, 0] - self.low[:, 0]
        steps = np.zeros(self.size[0] + 1)
        np.add.at(steps, self.low[:, 1], widths)
        np.add.at(steps, self.high[:, 1], -widths)
        first, total = 0, 0.0
        for row, cost in enumerate(np.cumsum(steps)[:-1]):
            if total and total + cost > _PAIRS:
                yield first, row
                first, total = row, 0.0
            total += cost
        yield first, self.size[0]

    def _draw(self, rows: tuple[int, int], found: FloatArray) -> None:
        """The pixels of some rows."""
        pixel, owner, alpha = self._pairs_of(rows)
        if not len(pixel):
            return
        clear = np.log1p(-alpha)
        before = np.cumsum(clear) - clear  # of all that is drawn before, as a logarithm
        starts = np.flatnonzero(np.diff(pixel, prepend=-1))
        of_pixel = np.repeat(before[starts], np.diff(starts, append=len(pixel)))
        weight = np.exp(before - of_pixel) * alpha
        for channel in range(3):
            sums = np.add.reduceat(weight * self.colours[owner, channel], starts)
            found[pixel[starts], channel] = sums

    def _pairs_of(self, rows: tuple[int, int]) -> tuple[Places, Places, Doubles]:
        """Pixels, Gaussians and opacities, sorted by pixel, then by distance."""
        width = self.size[1]
        top = np.clip(self.low[:, 1], *rows)
        tall = np.clip(self.high[:, 1], *rows) - top
        wide = self.high[:, 0] - self.low[:, 0]
        count = tall * wide
        owner = np.repeat(np.arange(len(count)), count)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        down, across = np.divmod(number, wide[owner])
        column, row = self.low[owner, 0] + across, top[owner] + down
        x, y = column + 0.5 - self.places[owner, 0], row + 0.5 - self.places[owner, 1]
        a, b, c = self.inverse[owner].T
        alpha = self.opacity[owner] * np.exp(-0.5 * (a * x * x + c * y * y) - b * x * y)
        drawn = np.flatnonzero(alpha >= _LEAST)
        pixel = (row * width + column)[drawn]
        order = drawn[np.argsort(pixel, kind="stable")]  # the nearest were first before
        alpha = np.minimum(alpha[order], _MOST).astype(np.float64)
        return (row * width + column)[order], owner[order], alpha


def seen_by(gaussians: Gaussians, lens: Lens) -> Ellipses:
    """The Gaussians as ellipses of a picture; those behind the camera, or damaged, are left out."""
    rotation, shift = lens.extrinsics[:, :3], lens.extrinsics[:, 3]
    focal, middle = lens.intrinsics[[0, 1], [0, 1]], lens.intrinsics[:2, 2]
    kept = gaussians[gaussians.sound()]
    seen = kept.means @ rotation.T + shift
    z = seen[:, 2]
    front = np.flatnonzero(z > _NEAR * np.median(np.abs(z))) if len(z) else np.array([], np.intp)
    front = front[np.argsort(z[front], kind="stable")]
    some, seen = kept[front], seen[front]
    slopes = seen[:, :2] / seen[:, 2:]
    spread = _spread(some, seen, rotation, lens) + _BLUR * np.eye(2)
    a, b, c = spread[:, 0, 0], spread[:, 0, 1], spread[:, 1, 1]
    inverse = np.stack([c, -b, a], axis=1) / (a * c - b * b)[:, np.newaxis]
    ways = some.means + rotation.T @ shift  # from the camera
    ways = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    colours = np.einsum("nci,ni->nc", some.harmonics, harmonics_of(ways)) + 0.5
    places, reach = slopes * focal + middle, _EDGE * np.sqrt(np.stack([a, c], axis=1))
    limit = np.array(lens.size[::-1])
    low = np.clip(np.ceil(places - reach - 0.5), 0, limit).astype(np.int64)
    high = np.clip(np.floor(places + reach - 0.5) + 1, low, limit).astype(np.int64)
    arrays = (places.astype(np.float32), inverse.astype(np.float32), low, high, some.opacities)
    return Ellipses(*arrays, np.clip(colours, 0, None).astype(np.float32), lens.size)


def _spread(some: Gaussians, seen: Doubles, rotation: Doubles, lens: Lens) -> Doubles:
    """[N,2,2]: the covariance of each Gaussian in px, near its place."""
    focal, z = lens.intrinsics[[0, 1], [0, 1]], seen[:, 2:]
    most = np.array(lens.size[::-1]) / 2 / focal * _BESIDE
    slopes = np.clip(seen[:, :2] / z, -most, most)
    moves = np.zeros((len(seen), 2, 3))  # px by the camera's space
    moves[:, 0, 0], moves[:, 1, 1] = (focal / z).T
    moves[:, :, 2] = -slopes * focal / z
    axes = matrices_of(some.rotations) * some.scales[:, np.newaxis]
    flat = moves @ rotation @ axes
    found: Doubles = flat @ flat.transpose(0, 2, 1)
    return found
