"""Metres from depth that was divided by the focal length."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import numpy as np

from depth.artifact.steps import MetresFromFocal
from depth.family import FOCAL_NORMALISED, METRES
from depth.maps.result import Focal, Map


def metres_from_focal(depth: Map, focal: Optional[Focal], step: MetresFromFocal) -> Map:
    """Depth in metres: values * focal length / divisor (`apply_metric_scaling` in upstream's
    utils/alignment.py). Without a focal length the map only says by what to divide; depth of
    another kind stays as it is.
    """
    if depth.kind != FOCAL_NORMALISED:
        return depth
    if focal is None:
        return replace(depth, focal_divisor=step.divisor)
    return Map(depth.values * np.float32(focal.px / step.divisor), METRES, depth.largest)
