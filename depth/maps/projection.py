"""How the values of a map lie on a sphere, for results of panoramas."""

from __future__ import annotations

from dataclasses import dataclass

EQUIRECTANGULAR = "equirectangular"
ALONG_RAY = "along the ray"  # what distances, and inverse distances, are measured along


@dataclass(frozen=True)
class JoinedView:
    """A view that a panorama was joined of: inverse depth = scale * the network's + shift.

    yaw_deg    of its optical axis, to the right of the panorama's middle
    pitch_deg  up from the horizon
    fov_deg    its angle of view, both ways
    """

    name: str
    yaw_deg: float
    pitch_deg: float
    fov_deg: float
    scale: float
    shift: float


@dataclass(frozen=True)
class Projection:
    """What a panorama's result says besides its maps.

    kind             EQUIRECTANGULAR
    distance         ALONG_RAY
    alignment        of the views: `affine`, `scale` or `none`
    disagreement     how far overlapping views differ, relative to the value: the median
    disagreement_95  and the 95th percentile
    scale, shift     value = scale * joined views' value + shift, to stay with a frame before
    """

    kind: str
    distance: str
    alignment: str
    disagreement: float
    disagreement_95: float
    scale: float
    shift: float
    views: tuple[JoinedView, ...]
