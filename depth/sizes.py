"""Which size the network sees for an image: the size rule of a model, and its limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Callable

from depth.errors import InputError

Size = tuple[int, int]  # (height, width) px

# Attention needs memory with the square of the patch count: 8192 patches of 14x14 px are 1.6 GB for
# a width of 384.
MAX_INPUT_PX = 8192 * 14 * 14

# Ratios of sides in words: those of cameras, as far as a network's multiples of 14 px leave them.
_USUAL = tuple(map(Fraction, ("1", "5/4", "4/3", "3/2", "16/9", "2")))
_NEAR, _LARGEST_PART = 0.05, 9

BOUNDS = LOWER, UPPER, MINIMAL = "lower", "upper", "minimal"
ROUNDINGS = ONCE, TWICE = "once", "twice"


@dataclass(frozen=True)
class SizeRule:
    """From image size to network size, the aspect ratio kept but for rounding.

    bound     `lower`: the short side becomes `side_px`; `upper`: the long side does; `minimal`: the
              side whose factor is nearer to 1 does, so that the image changes least
    rounding  `once`: scaled sides to the nearest multiple, halves to even; a side that would cross
              a lower or upper bound goes to the multiple inside it (`Resize` in
              midas/transforms.py of MiDaS, and in util/transform.py of Depth Anything V2).
              `twice`: to whole px, halves to even, then to the nearest multiple, halves up (the
              input processor of Depth Anything 3)
    """

    bound: str
    side_px: int
    multiple_px: int
    rounding: str

    def size_for(self, height_px: int, width_px: int) -> Size:
        """The network's (height, width) px for an image.

        Raises InputError if that would be too large to run, or `side_px` is not usable.
        """
        if self.side_px < 1:
            raise InputError(f"input size {self.side_px} px: must be at least 1")
        if self.rounding == TWICE:
            height, width = (
                _nearest_up(side, self.multiple_px) for side in self.whole_px(height_px, width_px)
            )
        else:
            scale = self._scale(height_px, width_px)
            height, width = (self._once(side * scale) for side in (height_px, width_px))
        if height * width > MAX_INPUT_PX:
            raise InputError(
                f"{width_px}x{height_px} px would need a {width}x{height} px model input, over the "
                f"limit of {MAX_INPUT_PX} px: the aspect ratio or the input size is too large; "
                "crop the image or lower the input size"
            )
        return height, width

    def whole_px(self, height_px: int, width_px: int) -> Size:
        """The scaled size before it is rounded to a multiple: (height, width) px, at least 1."""
        scale = self._scale(height_px, width_px)
        return max(1, round(height_px * scale)), max(1, round(width_px * scale))

    def check(self, size: Size) -> None:
        """Raise InputError unless a network can have this (height, width) px."""
        check_multiple(size, self.multiple_px)

    def _scale(self, height_px: int, width_px: int) -> float:
        if self.bound == MINIMAL:
            by_height, by_width = self.side_px / height_px, self.side_px / width_px
            return by_width if abs(1 - by_width) < abs(1 - by_height) else by_height
        side = min(height_px, width_px) if self.bound == LOWER else max(height_px, width_px)
        return self.side_px / side

    def _once(self, side: float) -> int:
        count = round(side / self.multiple_px)  # halves to even, as numpy rounds them
        if self.bound == LOWER and count * self.multiple_px < self.side_px:
            count = math.ceil(side / self.multiple_px)
        if self.bound == UPPER and count * self.multiple_px > self.side_px:
            count = math.floor(side / self.multiple_px)
        return max(1, count) * self.multiple_px


def check_multiple(size: Size, multiple_px: int) -> None:
    """Raise InputError unless both sides are positive multiples, within the limit."""
    for name, side in zip(("height", "width"), size):
        if side < multiple_px or side % multiple_px:
            nearest = _nearest_up(side, multiple_px)
            raise InputError(
                f"{name} {side} px: must be a multiple of {multiple_px}; nearest is {nearest}"
            )
    if size[0] * size[1] > MAX_INPUT_PX:
        raise InputError(
            f"size {size_text(size)}: {size[0] * size[1]} px, the limit is {MAX_INPUT_PX}"
        )


def parse_size(text: str, check: Callable[[Size], None]) -> Size:
    """`HEIGHTxWIDTH` in px, for instance 518x686. Raises InputError if it is not one, or as `check`
    does: the size rule's.
    """
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise InputError(f"size {text!r}: expected HEIGHTxWIDTH in px, like 518x686") from None
    check((height, width))
    return height, width


def ratio_text(size: Size) -> str:
    """Width to height as cameras have it, rounded: "4:3" of (518, 686)."""
    short_px, long_px = sorted(size)
    ratio = Fraction(long_px, short_px)
    usual = min(_USUAL, key=lambda found: abs(found - ratio))
    near = usual if abs(usual / ratio - 1) < _NEAR else ratio.limit_denominator(_LARGEST_PART)
    parts = (near.denominator, near.numerator)
    return "{}:{}".format(*(parts if size[1] < size[0] else parts[::-1]))


def size_text(size: Size) -> str:
    """`HEIGHTxWIDTH`, as `parse_size` reads it."""
    return f"{size[0]}x{size[1]}"


def _nearest_up(side: int, multiple_px: int) -> int:
    return max(1, (2 * side + multiple_px) // (2 * multiple_px)) * multiple_px
