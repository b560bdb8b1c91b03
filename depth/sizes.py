"""Which size the network sees for an image: upstream's rule, and its limits."""

from __future__ import annotations

import math

from depth.errors import InputError
from depth.family import PATCH_PX

SHORT_SIDE_PX = 518
# Attention needs memory with the square of the patch count: 8192 patches are 1.6 GB for vits.
MAX_PATCHES = 8192


def exact_size(
    height_px: int, width_px: int, short_side_px: int = SHORT_SIDE_PX
) -> tuple[int, int]:
    """Upstream's model size (height, width) in px for an image of the given size.

    The short side becomes `short_side_px`, the aspect ratio is kept, both sides are rounded to
    multiples of 14 and never below `short_side_px` (`Resize` with `lower_bound` in upstream's
    util/transform.py). Raises InputError if the result would be too large to run.
    """
    if short_side_px < 1:
        raise InputError(f"input size {short_side_px} px: must be at least 1")
    scale = max(short_side_px / height_px, short_side_px / width_px)
    height, width = (_multiple(side * scale, short_side_px) for side in (height_px, width_px))
    if _patches(height, width) > MAX_PATCHES:
        raise InputError(
            f"{width_px}x{height_px} px would need a {width}x{height} px model input, over the "
            f"limit of {MAX_PATCHES} patches of {PATCH_PX} px: the aspect ratio or the input size "
            "is too large; crop the image or lower the input size"
        )
    return height, width


def check_size(height_px: int, width_px: int) -> None:
    """Raise InputError unless a network can be built for this size."""
    for name, side in (("height", height_px), ("width", width_px)):
        if side < PATCH_PX or side % PATCH_PX:
            nearest = max(1, round(side / PATCH_PX)) * PATCH_PX
            raise InputError(
                f"{name} {side} px: must be a multiple of {PATCH_PX}; nearest is {nearest}"
            )
    if _patches(height_px, width_px) > MAX_PATCHES:
        raise InputError(
            f"size {height_px}x{width_px}: {_patches(height_px, width_px)} patches of "
            f"{PATCH_PX} px, the limit is {MAX_PATCHES}"
        )


def parse_size(text: str) -> tuple[int, int]:
    """`HEIGHTxWIDTH` in px, for instance 518x686. Raises InputError if it is not a usable size."""
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise InputError(f"size {text!r}: expected HEIGHTxWIDTH in px, like 518x686") from None
    check_size(height, width)
    return height, width


def size_text(size: tuple[int, int]) -> str:
    """`HEIGHTxWIDTH`, as `parse_size` reads it."""
    return f"{size[0]}x{size[1]}"


def _patches(height_px: int, width_px: int) -> int:
    return (height_px // PATCH_PX) * (width_px // PATCH_PX)


def _multiple(side: float, least_px: int) -> int:
    patches = round(side / PATCH_PX)  # halves to even, as upstream's numpy rounds them
    if patches * PATCH_PX < least_px:
        patches = math.ceil(side / PATCH_PX)
    return patches * PATCH_PX
