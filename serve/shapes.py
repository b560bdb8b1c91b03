"""Which program size an image gets.

exact    upstream's size for the image, so that the numbers are upstream's
buckets  the nearest aspect ratio among the sizes at hand: a slight stretch, never a border
"""

from __future__ import annotations

import math
from collections.abc import Collection

from depth.sizes import SHORT_SIDE_PX, exact_size
from serve.errors import NoProgram

EXACT, BUCKETS = "exact", "buckets"
POLICIES = (EXACT, BUCKETS)

# What cameras and screens make: square, 4:3, 3:2 and 16:9, lying and standing.
_ASPECTS = ((1, 1), (3, 4), (2, 3), (9, 16), (4, 3), (3, 2), (16, 9))


def common_sizes(short_side_px: int = SHORT_SIDE_PX) -> list[tuple[int, int]]:
    """Program sizes (height, width) in px that serve most folders under `buckets`."""
    return [exact_size(height, width, short_side_px) for height, width in _ASPECTS]


def program_size(
    policy: str,
    image_size: tuple[int, int],
    available: Collection[tuple[int, int]],
    short_side_px: int = SHORT_SIDE_PX,
) -> tuple[int, int]:
    """The (height, width) px that the network sees for an image of (height, width) px.

    Under `exact` it need not be among `available`. Raises NoProgram if there is nothing to choose
    from, InputError if the image has no usable exact size.
    """
    if policy == EXACT:
        return exact_size(*image_size, short_side_px)
    if not available:
        raise NoProgram("no program at hand to choose from; compile at least one size")
    aspect = math.log(image_size[1] / image_size[0])
    # Of two equally near ratios the larger size, which loses less detail.
    return min(available, key=lambda s: (abs(math.log(s[1] / s[0]) - aspect), -s[0] * s[1]))
