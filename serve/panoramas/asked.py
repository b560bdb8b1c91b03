"""How a panorama is cut and joined, as a caller asks for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from depth.errors import InputError
from depth.family import CONFIDENCE, DEPTH, SKY
from depth.panoramas.alignment import ALIGNMENTS
from depth.panoramas.layouts import DEFAULT_LAYOUT, Layout, layout_named

_LEAST_PX, _MOST_PX = 56, 2048


@dataclass(frozen=True)
class PanoramaAsked:
    """How a panorama is cut and joined. Raises InputError for what cannot be.

    layout   of the views, one of depth/panoramas/layouts.py
    fov_deg  their angle of view; 0 for the layout's own
    side_px  of the views; 0 for the network's own size, so that no view is resized
    align    `affine`, `scale` or `none`; "" for what the kind of depth allows
    """

    layout: str = DEFAULT_LAYOUT
    fov_deg: float = 0.0
    side_px: int = 0
    align: str = ""

    def __post_init__(self) -> None:
        if self.align not in ("", *ALIGNMENTS):
            raise InputError(f"alignment {self.align!r}: expected {', '.join(ALIGNMENTS)}")
        if self.side_px and not _LEAST_PX <= self.side_px <= _MOST_PX:
            raise InputError(f"views of {self.side_px} px: expected {_LEAST_PX} to {_MOST_PX}")
        self.views  # noqa: B018 - it says what is wrong

    @property
    def views(self) -> Layout:
        return layout_named(self.layout, self.fov_deg)

    def step(self, side_px: int) -> str:
        """As provenances name it, with all that a result depends on."""
        given = f"{self.layout}, fov={self.views.fov_deg:g}, side={side_px}"
        return f"join_views({given}, align={self.align or 'by_kind'})"


def maps_of_panoramas(outputs: Iterable[str]) -> list[str]:
    """The names of the maps of a panorama, by the names of a network's outputs for an image."""
    return [*(name for name in outputs if name in (DEPTH, SKY)), CONFIDENCE]
