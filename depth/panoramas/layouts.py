"""Which views a panorama is cut into: named layouts, all views of one size and angle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from depth.errors import InputError
from depth.panoramas.geometry import View, even_directions, places

DEFAULT_LAYOUT = "tangent10"
CUBE = tuple(
    View(name, yaw, pitch, 90.0)
    for name, yaw, pitch in (
        ("front", 0, 0),
        ("right", 90, 0),
        ("back", 180, 0),
        ("left", -90, 0),
        ("up", 0, 90),
        ("down", 0, -90),
    )
)

_NARROWEST_DEG, _WIDEST_DEG = 40.0, 140.0
_SAMPLES = 4096  # directions that are looked at
_TWICE = 0.25  # of the sphere has to be seen by two views at least: less joins nothing


@dataclass(frozen=True)
class Layout:
    """The views that a panorama is cut into."""

    name: str
    views: tuple[View, ...]

    @property
    def fov_deg(self) -> float:
        return self.views[0].fov_deg


@dataclass(frozen=True)
class _Plan:
    """The axes of a layout: (views, pitch in degrees) of each row, and the usual angle of view."""

    rows: Sequence[tuple[int, float]]
    fov_deg: float
    text: str


_POLES = ((1, 90.0), (1, -90.0))
_PLANS = {
    "cube6": _Plan(((4, 0.0), *_POLES), 110.0, "the faces of a cube, wider so that they overlap"),
    "tangent10": _Plan(((8, 0.0), *_POLES), 110.0, "8 around, up and down"),
    "rows18": _Plan(
        ((8, 0.0), (4, 50.0), (4, -50.0), *_POLES), 80.0, "8 around, 4 above, 4 below, up and down"
    ),
}
LAYOUTS = tuple(_PLANS)


def described() -> str:
    """The layouts in words, for a help."""
    return "; ".join(f"{name}: {plan.text}" for name, plan in _PLANS.items())


@cache
def layout_named(name: str, fov_deg: float = 0.0) -> Layout:
    """The views of a layout, by default of its usual angle of view.

    Raises InputError for an unknown name, and for an angle that leaves gaps or no overlap.
    """
    if name not in _PLANS:
        raise InputError(f"no views {name!r}; choose from {', '.join(LAYOUTS)}")
    plan = _PLANS[name]
    angle = fov_deg or plan.fov_deg
    if not _NARROWEST_DEG <= angle <= _WIDEST_DEG:
        raise InputError(
            f"angle of view {angle:g} degrees: expected {_NARROWEST_DEG:g} to {_WIDEST_DEG:g}"
        )
    views = [view for row in plan.rows for view in _row(*row, angle)]
    _check_cover(name, views, plan.fov_deg)
    return Layout(name, tuple(views))


def _row(count: int, pitch_deg: float, fov_deg: float) -> list[View]:
    if abs(pitch_deg) == 90:
        return [View("up" if pitch_deg > 0 else "down", 0.0, pitch_deg, fov_deg)]
    between = 360 / count
    kind = "view" if not pitch_deg else "above" if pitch_deg > 0 else "below"
    # From the middle of the panorama to the right.
    turns = [(number * between + 180) % 360 - 180 for number in range(count)]
    return [View(f"{kind}{number}", turn, pitch_deg, fov_deg) for number, turn in enumerate(turns)]


def _check_cover(name: str, views: Sequence[View], usual_deg: float) -> None:
    seen = np.sum([places(view, even_directions(_SAMPLES)).inside for view in views], axis=0)
    if seen.min() < 1 or (seen > 1).mean() < _TWICE:
        raise InputError(
            f"views {name} of {views[0].fov_deg:g} degrees leave gaps, or hardly overlap: take a "
            f"wider angle, as {usual_deg:g} degrees"
        )
