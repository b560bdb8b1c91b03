"""Depth from Python by a model's name: programs are built when first needed, as inference.py does.

from depth_anything import DepthPipeline

depth = DepthPipeline("vits")("a.jpg").depth.values
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Optional, Union

from compile.on_demand import Cache
from compile.targets.table import AUTO, default_precision, host_target
from compile.weights import choose
from depth.artifact.manifest import Artifact
from depth.errors import InputError
from depth.family import model_named, models
from depth.sizes import Size
from serve import pipeline
from serve.shapes import BUCKETS, EXACT, common_sizes
from serve.sources import Place

logger = logging.getLogger(__name__)


class DepthPipeline(pipeline.DepthPipeline):
    """As serve's pipeline, of a model as well: it, or an error.

    source        a model's name, or what serve's pipeline takes. By default `vits`, or the bundled
                  `demo` if the weights of `vits` cannot be had; then a remark is logged, and stands
                  in every result
    checkpoint    weights file; by default the model's own in checkpoints/, or downloaded
    target        `openvino`, `onnx` or `torchscript`
    precision     `fp32`; of openvino also `bf16`, `int8` and `auto`
    input_size    side of the network's input in px, the short side or, of da3 models, the long side
    calibration   folder of photographs for the parity gate, beside its own test images, and int8
    folder        where programs are kept
    options       further options of serve's pipeline

    Options of a model are refused with artifacts. Raises CheckpointError if the weights cannot be
    had, and what serve's pipeline raises; making programs raises BuildError.
    """

    def __init__(
        self,
        source: Union[Place, Sequence[Place], None] = None,
        *,
        checkpoint: Optional[Place] = None,
        target: str = "openvino",
        precision: str = "fp32",
        input_size: Optional[int] = None,
        calibration: Place = "input_images",
        folder: Place = "artifacts",
        policy: str = EXACT,
        **options: Any,
    ) -> None:
        if source is not None and not names_model(source):
            check_artifact(source, checkpoint, input_size, target, precision)
            super().__init__(source, folder=folder, policy=policy, **options)
            return
        if source is not None and model_named(str(source)).takes_scenes:
            raise InputError(f"{source}: a model of scenes of several images; take ScenePipeline")
        cache = cache_of(source, checkpoint, target, precision, calibration, folder)
        weights = cache.weights
        row = model_named(weights.model)
        rule = replace(row.size, side_px=input_size or row.size.side_px)
        super().__init__(
            partial(_build, cache),
            policy=policy,
            size_rule=rule,
            sizes=common_sizes(rule) if policy == BUCKETS else (),
            remark=weights.remark,
            stand_in=weights.stand_in,
            **options,
        )


def _build(cache: Cache, sizes: Sequence[Size]) -> Iterator[Artifact]:
    """The artifacts of a cache, and then what is missing, built."""
    left = dict.fromkeys(sizes)
    for artifact in cache.artifacts():
        yield artifact
        for key in artifact.manifest.keys:
            left.pop(key.size, None)
    yield from cache.build(list(left))


def cache_of(
    source: Union[Place, Sequence[Place], None],
    checkpoint: Optional[Place],
    target: str,
    precision: str,
    calibration: Place,
    folder: Place,
) -> Cache:
    """The artifacts of a model. Raises InputError, or CheckpointError without weights."""
    host_target(target, default_precision(target) if precision == AUTO else precision)
    given = None if checkpoint is None else Path(checkpoint)
    weights = choose(model_named(str(source)) if source else None, given)
    if weights.remark:
        logger.warning("%s", weights.remark)
    return Cache(Path(folder), weights, target, precision, Path(calibration))


def check_artifact(
    source: Union[Place, Sequence[Place]],
    checkpoint: Optional[Place],
    input_size: Optional[int],
    target: str,
    precision: str,
) -> None:
    """Raises InputError for options of a model beside an artifact."""
    if checkpoint or input_size or (target, precision) != ("openvino", "fp32"):
        raise InputError(f"{source}: an artifact; it has weights, target and precision")


def names_model(source: Union[Place, Sequence[Place]]) -> bool:
    """Whether it is a model's name, not a path. Raises InputError for a word that is neither."""
    if not isinstance(source, str) or os.sep in source:
        return False
    if source not in models() and not os.path.lexists(source):
        model_named(source)
    return source in models()
