"""Measured depth at places of an image, and what reads it: a reference."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Callable, Protocol

import numpy as np
import numpy.typing as npt

from depth.errors import FitError
from depth.files import sha256_bytes
from depth.images.header import ImageHeader
from depth.images.orientation import stored_size, upright
from depth.sizes import Size

Doubles = npt.NDArray[np.float64]

_ASPECT = 0.02  # by which two aspect ratios may differ, beside a rounding of 1 px


@dataclass(frozen=True, eq=False)
class Samples:
    """Points of an image whose depth was measured.

    x, y   [N] px of the upright image, from the first pixel's centre
    depth  [N] along the optical axis, over 0
    """

    x: Doubles
    y: Doubles
    depth: Doubles

    def some(self, chosen: npt.NDArray[np.bool_]) -> Samples:
        return Samples(self.x[chosen], self.y[chosen], self.depth[chosen])


class Reference(Protocol):
    """Where measured depth comes from. Safe in any thread."""

    @property
    def source(self) -> str:
        """One of FIT_SOURCES."""

    @property
    def metric(self) -> bool:
        """Whether depth is in metres."""

    @property
    def of_one_image(self) -> bool:
        """Whether it names no image, and so is of the only image there is."""

    def digest(self) -> str:
        """A sha256 of what it says about all images."""

    def check(self, images: Collection[str]) -> None:
        """Raises InputError if it cannot be of these images, by their names."""

    def sha256(self, image: str) -> str:
        """Of what it says about an image. Raises FitError if that is nothing."""

    def samples(self, image: str, header: ImageHeader) -> Samples:
        """Points of an image. Raises FitError if there are none, or not of this image."""


def digest_of(names: Iterable[str], sha256: Callable[[str], str]) -> str:
    """A sha256 of entries by their names."""
    lines = "".join(f"{sha256(name)} {name}\n" for name in sorted(names))
    return sha256_bytes(lines.encode("utf-8", "surrogatepass"))


def onto_image(
    x: Doubles, y: Doubles, size: Size, header: ImageHeader, stored_first: bool
) -> tuple[Doubles, Doubles]:
    """Px of the upright image, of px of a view of the same image at another size.

    x, y          [N] px of the view, from its first pixel's centre
    size          (height, width) px of the view
    stored_first  whether the view is as the file stores the image, if both fit, or upright

    Raises FitError if the view has another aspect ratio than the image.
    """
    whole = header.height_px, header.width_px
    frames = [(whole, False), (stored_size(whole, header.orientation), True)]
    for frame, is_stored in frames[::-1] if stored_first else frames:
        if _alike(size, frame):
            down, across = frame[0] / size[0], frame[1] / size[1]
            x, y = (x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5
            return upright(x, y, frame, header.orientation) if is_stored else (x, y)
    raise FitError(
        f"the reference is of {size[1]}x{size[0]} px, the image has {whole[1]}x{whole[0]} px: "
        "expected one aspect ratio, because both have to show the same view"
    )


def _alike(size: Size, frame: Size) -> bool:
    """Whether one aspect ratio is within _ASPECT of the other, or a side within 1 px."""
    expected = size[0] * frame[1] / frame[0]
    return abs(expected - size[1]) <= max(1.0, _ASPECT * size[1])
