"""Metres from depth that was divided by the focal length."""

from __future__ import annotations

from typing import Optional

import numpy as np

from depth.artifact.steps import MetresFromFocal
from depth.family import FOCAL_NORMALISED, METRES
from depth.maps.result import Focal, Map


def metres_from_focal(depth: Map, focal: Optional[Focal], step: MetresFromFocal) -> Map:
    """Depth in metres: values * focal length / divisor (`apply_metric_scaling` in upstream's
    utils/alignment.py). Without a focal length, or of another kind, the depth stays as it is.
    """
    if focal is None or depth.kind != FOCAL_NORMALISED:
        return depth
    return Map(depth.values * np.float32(focal.px / step.divisor), METRES, depth.largest)
