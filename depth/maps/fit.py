"""How depth was moved onto measured depth: what the fit depends on, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Optional

POINTS, COLMAP, SENSOR = "points", "colmap", "sensor"
FIT_SOURCES = (POINTS, COLMAP, SENSOR)

AUTO, SCALE, SCALE_SHIFT = "auto", "scale", "scale_shift"
FIT_METHODS = (SCALE, SCALE_SHIFT)
FIT_BY = (AUTO, *FIT_METHODS)

IN_INVERSE, IN_DEPTH = "inverse", "depth"
FIT_SPACES = (IN_INVERSE, IN_DEPTH)


@dataclass(frozen=True)
class FitBasis:
    """What a fit depends on, besides the result of the network."""

    source: str  # one of FIT_SOURCES
    sha256: str  # of what the reference says about this image
    by: str  # one of FIT_BY, as the user asked
    unit: Optional[str]  # `m`, or None for a COLMAP model whose scale nobody knows


@dataclass(frozen=True)
class FitRecord(FitBasis):
    """What a fit found. Distances are in the unit of the fitted depth.

    The network's value becomes `scale * value + shift`, which is depth, or in `inverse` space one
    over depth. Results nearer than `near` or farther than `far` are cut to these ends: a tenth of
    the nearest, and ten times the farthest point that agrees.
    """

    space: str  # one of FIT_SPACES
    method: str  # one of FIT_METHODS
    scale: float
    shift: float  # 0 in a fit by scale
    points: int  # of the reference in this image
    inliers: int  # points that agree
    median_error: float  # of the depth of the inliers
    median_share: float  # the same as a share of the depth
    rms_error: float
    near: float
    far: float
    cut_near_px: int  # px of the map that were cut
    cut_far_px: int

    @property
    def basis(self) -> FitBasis:
        return FitBasis(**{each.name: getattr(self, each.name) for each in fields(FitBasis)})

    def text(self) -> str:
        """What people read about it, in a few words."""
        unit = self.unit or "units"
        return (
            f"{self.inliers} of {self.points} points agree, median error "
            f"{self.median_error:.3g} {unit} ({100 * self.median_share:.2g} %)"
        )
