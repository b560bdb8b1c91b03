"""What the numbers of each kind of map mean, in plain words: for the descriptions of files."""

from __future__ import annotations

from typing import Optional

from depth.family import (
    CONFIDENCE,
    FOCAL_NORMALISED,
    METRES,
    RELATIVE_DEPTH,
    RELATIVE_INVERSE,
    SCENE_UNITS,
    SKY,
)
from depth.maps.projection import Projection

_MEANINGS = {
    RELATIVE_INVERSE: "larger is nearer; no unit; comparable only within this image",
    RELATIVE_DEPTH: "larger is farther; no unit; comparable only within this image",
    FOCAL_NORMALISED: "larger is farther; metres = value * focal length / focal_divisor",
    # Hypersim's ray distances were converted to planar depth for training; VKITTI's are planar.
    METRES: "distance along the optical axis in metres",
    SCENE_UNITS: "distance along the optical axis in units of the fit's reference",
    SKY: "larger is more surely sky",
    CONFIDENCE: "larger is more certain; no unit",
}
_OF_PANORAMAS = {
    **_MEANINGS,
    RELATIVE_INVERSE: "inverse distance along the ray: larger is nearer; no unit; comparable only "
    "within this image",
    RELATIVE_DEPTH: "distance along the ray: larger is farther; no unit; comparable only within "
    "this image",
    METRES: "distance along the ray in metres",
    SCENE_UNITS: "distance along the ray in units of the fit's reference",
    CONFIDENCE: "how well overlapping views agree: 1 fully, 0.5 a single view; no unit",
}


def meaning_of(kind: str, projection: Optional[Projection]) -> str:
    """Unit and direction of a kind of map, of a panorama if there is a projection."""
    return (_MEANINGS if projection is None else _OF_PANORAMAS)[kind]
