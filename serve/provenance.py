"""What the results of a program are made with."""

from __future__ import annotations

from depth.maps.result import FULL, Provenance
from serve.library import Served


def provenance_of(
    served: Served, preprocess: str, policy: str, output_size: str, has_focal: bool
) -> Provenance:
    """The provenance of each result of `served`. `has_focal`: a focal length is known."""
    m = served.artifact.manifest
    return Provenance(
        model=m.model,
        weights=m.checkpoint.file,
        weights_sha256=m.checkpoint.sha256,
        artifact=served.artifact.identity,
        target=m.target,
        precision=m.precision,
        preprocess_mode=preprocess,
        shape_policy=policy,
        model_height_px=served.shape.height_px,
        model_width_px=served.shape.width_px,
        output_size=output_size,
        steps=served.recipe.names[output_size == FULL, has_focal],
    )
