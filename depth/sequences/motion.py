"""Which surface points of a frame were seen in the frame before, and where.

Dense optical flow by inverse search (DIS: Kroeger et al., 2016, arXiv 1603.03590), both ways. A
point counts if the way back leads to where it began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from depth.images.read import Pixels
from depth.maps.result import FloatArray

_BACK_PX = 1.0  # how far from its beginning the way back may end

Gray = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Motion:
    """From a frame to the frame before.

    columns, rows  [h,w] float32: where each point was
    known          [h,w]: whether it was seen there
    """

    columns: FloatArray
    rows: FloatArray
    known: Mask

    def carried(self, before: FloatArray) -> FloatArray:
        """Values [h,w] of the frame before, at the points of the frame."""
        moved = cv2.remap(before, self.columns, self.rows, cv2.INTER_LINEAR)
        return moved.astype(np.float32, copy=False)


def gray_of(small: Pixels) -> Gray:
    """uint8 [h,w] of BGR."""
    return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)


def motion(before: Gray, now: Gray) -> Motion:
    """The motion between two pictures [h,w] of one size, of at least 16 px a side."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    there: npt.NDArray[Any] = dis.calc(now, before, None)
    back: npt.NDArray[Any] = dis.calc(before, now, None)
    height, width = now.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    columns, rows = columns + there[..., 0], rows + there[..., 1]
    back = cv2.remap(back, columns, rows, cv2.INTER_LINEAR)
    inside = (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
    known = inside & (np.linalg.norm(there + back, axis=2) <= _BACK_PX)
    return Motion(columns, rows, known)
