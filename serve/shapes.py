"""Which program size an image gets.

exact    the size that the model's size rule gives the image, so that the numbers are upstream's
buckets  the nearest aspect ratio among the sizes at hand: a slight stretch, never a border
"""

from __future__ import annotations

import math
from collections.abc import Collection

from depth.sizes import Size, SizeRule
from serve.errors import NoProgramError

EXACT, BUCKETS = "exact", "buckets"
POLICIES = (EXACT, BUCKETS)

# What cameras and screens make: square, 4:3, 3:2 and 16:9, lying and standing.
_ASPECTS = ((1, 1), (3, 4), (2, 3), (9, 16), (4, 3), (3, 2), (16, 9))


def common_sizes(rule: SizeRule) -> list[Size]:
    """Program sizes (height, width) in px that serve most folders under `buckets`."""
    return list(dict.fromkeys(rule.size_for(height, width) for height, width in _ASPECTS))


def nearest_size(image_size: Size, available: Collection[Size]) -> Size:
    """Of the given (height, width) px, the nearest in aspect ratio to an image of `image_size`.

    Of two equally near ratios the larger size, which loses less detail. Raises NoProgramError if
    there is nothing to choose from.
    """
    if not available:
        raise NoProgramError("there is no program to choose from; compile at least one size")
    aspect = math.log(image_size[1] / image_size[0])
    return min(available, key=lambda s: (abs(math.log(s[1] / s[0]) - aspect), -s[0] * s[1]))
