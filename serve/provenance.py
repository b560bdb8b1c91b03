"""What the results of a program are made with."""

from __future__ import annotations

from depth.artifact.manifest import Artifact
from depth.maps.result import FULL, Provenance
from depth.sizes import Size
from serve.library import Served


def provenance_of(
    served: Served, preprocess: str, policy: str, output_size: str, has_focal: bool
) -> Provenance:
    """The provenance of each result of `served`. `has_focal`: a focal length is known."""
    return made_with(
        served.artifact,
        served.shape[:2],
        (preprocess, policy, output_size),
        served.recipe.names[output_size == FULL, has_focal],
    )


def made_with(
    artifact: Artifact, size: Size, modes: tuple[str, str, str], steps: tuple[str, ...]
) -> Provenance:
    """The provenance of what an artifact gives.

    size   (height, width) px of the network's input
    modes  of pre-processing, the shape policy, and the size of the output
    """
    m = artifact.manifest
    preprocess, policy, output_size = modes
    return Provenance(
        model=m.model,
        weights=m.checkpoint.file,
        weights_sha256=m.checkpoint.sha256,
        artifact=artifact.identity,
        target=m.target,
        precision=m.precision,
        preprocess_mode=preprocess,
        shape_policy=policy,
        model_height_px=size[0],
        model_width_px=size[1],
        output_size=output_size,
        steps=steps,
    )
