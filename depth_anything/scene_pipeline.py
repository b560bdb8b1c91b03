"""Scenes from Python by a model's name: programs are built when first needed.

from depth_anything import ScenePipeline

scene = ScenePipeline("da3-small")(["left.jpg", "right.jpg"])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Optional, Union

from compile.on_demand import Cache
from depth.artifact.manifest import Artifact
from depth.errors import InputError
from depth.family import model_named
from depth.sizes import Size
from depth_anything.model_pipeline import cache_of, check_artifact, names_model
from serve.scenes import pipeline
from serve.scenes.library import has_scene
from serve.shapes import BUCKETS, EXACT, common_sizes
from serve.sources import Place


class ScenePipeline(pipeline.ScenePipeline):
    """As serve's pipeline of scenes, of a model as well: it, or an error.

    source       a model's name, such as `da3-small`, or what serve's pipeline takes
    checkpoint   weights file; by default the model's own in checkpoints/, or downloaded
    target       `openvino`, `onnx` or `torchscript`
    precision    `fp32`; of openvino also `bf16`
    calibration  folder of photographs for the parity gate, beside its own test images
    folder       where programs are kept
    options      further options of serve's pipeline

    Options of a model are refused with artifacts. Raises InputError for a model of single images,
    CheckpointError if the weights cannot be had, and what serve's pipeline raises; making programs
    raises BuildError.
    """

    def __init__(
        self,
        source: Union[Place, Sequence[Place]],
        *,
        checkpoint: Optional[Place] = None,
        target: str = "openvino",
        precision: str = "fp32",
        calibration: Place = "input_images",
        folder: Place = "artifacts",
        policy: str = EXACT,
        **options: Any,
    ) -> None:
        if not names_model(source):
            check_artifact(source, checkpoint, None, target, precision)
            super().__init__(source, folder=folder, policy=policy, **options)
            return
        row = model_named(str(source))
        if not row.takes_scenes:
            raise InputError(f"{source}: a model of single images; take DepthPipeline")
        super().__init__(
            partial(_build, cache_of(source, checkpoint, target, precision, calibration, folder)),
            policy=policy,
            size_rule=row.size,
            sizes=common_sizes(row.size) if policy == BUCKETS else (),
            **options,
        )


def _build(cache: Cache, size: Size, views: int, rays: bool) -> Iterator[Artifact]:
    """The artifacts of a cache that have a program for these scenes, or one that is built."""
    there = [found for found in cache.artifacts() if has_scene(found, size, views, rays)]
    yield from there[:1] or cache.build_scenes(size, views, rays)
