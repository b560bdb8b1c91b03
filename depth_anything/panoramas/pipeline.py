"""Depth of panoramas from Python, by a model's name or an artifact.

from depth_anything import PanoramaPipeline

result = PanoramaPipeline("vits")("room-360.jpg")
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Union

from depth.panoramas.layouts import DEFAULT_LAYOUT
from depth_anything.model_pipeline import DepthPipeline
from serve.panoramas.asked import PanoramaAsked
from serve.panoramas.engine import PanoramaEngine
from serve.sources import Place


class PanoramaPipeline(DepthPipeline):
    """As `DepthPipeline`, of equirectangular images: depth along the ray of each pixel.

    source   as of `DepthPipeline`
    views    layout: `cube6`, `tangent10` or `rows18`
    fov_deg  angle of view of the views in degrees; 0 for the layout's own
    side_px  of the views; 0 for what the network sees
    align    `affine`, `scale` or `none`; "" for what the kind of depth allows
    options  further options of `DepthPipeline`, but a camera's: that of the views is known

    Raises InputError for what cannot be cut or joined, otherwise as `DepthPipeline`.
    """

    def __init__(
        self,
        source: Union[Place, Sequence[Place], None] = None,
        *,
        views: str = DEFAULT_LAYOUT,
        fov_deg: float = 0.0,
        side_px: int = 0,
        align: str = "",
        **options: Any,
    ) -> None:
        asked = PanoramaAsked(views, fov_deg, side_px, align)
        super().__init__(source, engine=partial(PanoramaEngine, asked=asked), **options)
