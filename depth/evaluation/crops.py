"""The part of an image in which papers measure.

The numbers are those of the evaluation code of Eigen et al. (2014) and Garg et al., "Unsupervised
CNN for Single View Depth Estimation: Geometry to the Rescue", 2016.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.sizes import Size, size_text

# Shares of the height (top, bottom) and of the width (left, right), for KITTI.
_SHARES = {
    "eigen": (0.3324324, 0.91351351, 0.0359477, 0.96405229),
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
}
_NYU_SIZE, _NYU = (480, 640), (45, 471, 41, 601)  # px; the last are outside
NONE = "none"
CROPS = (NONE, *_SHARES, "nyu")


def inside(crop: str, size: Size) -> npt.NDArray[np.bool_]:
    """[H,W]: whether a pixel of a map of `size` (height, width) px is in the crop.

    Raises InputError for an unknown crop, or for `nyu` of another size than 480x640.
    """
    found = np.zeros(size, bool)
    found[_window(crop, size)] = True
    return found


def _window(crop: str, size: Size) -> Any:
    height, width = size
    if crop == NONE:
        return slice(None), slice(None)
    if crop == "nyu":
        if tuple(size) != _NYU_SIZE:
            raise InputError(f"--crop nyu is of 480x640 px; the truth has {size_text(size)}")
        top, bottom, left, right = _NYU
        return slice(top, bottom), slice(left, right)
    if crop not in _SHARES:
        raise InputError(f"--crop {crop!r}: choose from {', '.join(CROPS)}")
    above, below, before, after = _SHARES[crop]
    rows = slice(int(above * height), int(below * height))
    return rows, slice(int(before * width), int(after * width))
