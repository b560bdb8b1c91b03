"""An engine for panoramas: one image in, many views through one program, one map out.

It takes the place of `Engine` in every front end: what reads, resumes and writes stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Optional

from depth.errors import InputError
from depth.images.header import ImageHeader
from depth.images.read import Needed, SourceImage
from depth.maps.result import FULL, Focal, Provenance, Result
from depth.panoramas.geometry import check_whole_sphere
from depth.panoramas.joining import joined
from depth.panoramas.sampling import seen_in, width_for
from depth.sizes import Size
from depth.steps.focal import FocalAsked
from serve.engine import Engine, Foreseen, Prepared, Raw
from serve.library import Served
from serve.panoramas.asked import PanoramaAsked
from serve.scheduling.queues import Pending

_USUAL_PX = 512  # what a view is sized by if the model's rule is asked: rules give a side near it


@dataclass(frozen=True)
class PreparedViews(Prepared):
    """A panorama, and its views as network input. Its own arrays are the first view's."""

    views: tuple[Prepared, ...] = ()


@dataclass(frozen=True)
class RawViews(Raw):
    """What the network made of each view. Its own outputs are the first view's."""

    views: tuple[Raw, ...] = ()


class PanoramaEngine(Engine):
    """As `Engine`, of equirectangular panoramas. All views have one size: one program, in batches.

    asked  how panoramas are cut and joined; the other arguments are those of `Engine`

    The camera of views is known, so models that need a focal length give metres. With output size
    `model`, a panorama is as fine as the middle of its views. Raises InputError for an image that
    is not twice as wide as high, otherwise as `Engine`.
    """

    def __init__(self, *args: Any, asked: Optional[PanoramaAsked] = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asked = asked or PanoramaAsked()
        self.focal = FocalAsked(fov_deg=self.asked.views.fov_deg)

    @property
    def needed(self) -> Optional[Needed]:
        return None

    @property
    def side_px(self) -> int:
        """Of a view."""
        return self.asked.side_px or min(super().size_for(_USUAL_PX, _USUAL_PX))

    def size_for(self, height_px: int, width_px: int) -> Size:
        """The size of the program that all views of a panorama take."""
        check_whole_sphere(height_px, width_px)
        return super().size_for(self.side_px, self.side_px)

    def prepare(
        self,
        source: SourceImage,
        focal: Optional[FocalAsked] = None,  # noqa: ARG002 - as the base
        size: Optional[Size] = None,
    ) -> PreparedViews:
        """Network input for every view. `focal` has no effect: a view's camera is known."""
        header, side = source.header, self.side_px
        size = size or self.size_for(header.height_px, header.width_px)
        own = replace(header, height_px=side, width_px=side, focal_px=None)
        views = tuple(
            super(PanoramaEngine, self).prepare(SourceImage(pixels, own, "", ()), None, size)
            for pixels in seen_in(source.pixels, self.asked.views.views, side)
        )
        first = views[0]
        return PreparedViews(source, first.served, first.arrays, first.focal, views)

    def run(self, prepared: Prepared, deadline_s: Optional[float] = None) -> RawViews:
        """As `Engine.run`, of every view; `deadline_s` counts for each."""
        views = _views_of(prepared)
        pending: list[Pending] = []
        try:
            for view in views:
                pending.append(self.submit(view, deadline_s))  # noqa: PERF401 - some may be there
            raws = tuple(Raw.of(each, view) for each, view in zip(pending, views))
        except BaseException:
            for each in pending:
                each.cancel()
            raise
        wait_ms = max(raw.wait_ms for raw in raws)
        network_ms = sum(raw.network_ms for raw in raws)
        return RawViews(raws[0].outputs, prepared, wait_ms, network_ms, raws)

    def finish(self, raw: Raw, output_size: Optional[str] = None) -> Result:
        """The result, its depth along the rays. Raises as `Engine.finish`."""
        header, layout = raw.prepared.source.header, self.asked.views
        size = header.height_px, header.width_px
        results = [super(PanoramaEngine, self).finish(view, output_size) for view in _raws_of(raw)]
        made = results[0]
        if made.provenance.output_size != FULL:
            width = width_for(layout.views[0], self.side_px)
            size = min(size, (width // 2, width))
        whole = joined(layout, [each.maps for each in results], size, self.asked.align or None)
        told = self._told(made.provenance)
        return Result(whole.maps, told, made.focal, projection=whole.projection)

    def foreseen(self, header: ImageHeader) -> Foreseen:
        """What a result of a panorama will be made with. Raises as `size_for`."""
        found = super().foreseen(header)
        made = found.provenance
        return found if made is None else found._replace(provenance=self._told(made))

    def _focal_of(self, served: Served, header: ImageHeader, asked: FocalAsked) -> Optional[Focal]:
        """Of a view, also where the header is the panorama's."""
        own = replace(header, height_px=self.side_px, width_px=self.side_px, focal_px=None)
        return super()._focal_of(served, own, asked)

    def _told(self, made: Provenance) -> Provenance:
        return replace(made, steps=(*made.steps, self.asked.step(self.side_px)))


def _views_of(prepared: Prepared) -> tuple[Prepared, ...]:
    if not isinstance(prepared, PreparedViews):
        raise InputError("an ordinary image: prepare it with this engine, which cuts panoramas")
    return prepared.views


def _raws_of(raw: Raw) -> tuple[Raw, ...]:
    if not isinstance(raw, RawViews):
        raise InputError("an ordinary image: run it with this engine, which cuts panoramas")
    return raw.views
