"""What `transformers` calls a model: its name on the hub, or a folder of `save_pretrained`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

from depth.artifact.manifest import MANIFEST
from depth.artifact.strict_json import parse_object
from depth.errors import CheckpointError, InputError
from depth.family import METRES, RELATIVE_INVERSE, Model, ModelConfig, models
from depth.files import read_regular
from depth.weights.registry import MODEL, published_files
from serve.sources import Place

_CONFIG = "config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_MAX_CONFIG_BYTES = 1 << 20
_SIZES = (("Small", "vits"), ("Base", "vitb"), ("Large", "vitl"))
_EXAMPLE = "depth-anything/Depth-Anything-V2-Small-hf"


def hub_names() -> dict[str, str]:
    """Names on the hub -> models: repositories for `transformers`, and those of published files.

    The weights of a repository for `transformers` are those of the published file of its model.
    """
    found = {
        file.repository: model
        for model, file in published_files().items()
        if file.repository_type == MODEL
    }
    for size, model in _SIZES:
        found[f"depth-anything/Depth-Anything-V2-{size}-hf"] = model
        found[f"LiheYoung/depth-anything-{size.lower()}-hf"] = f"v1-{model}"
        for place in ("Indoor", "Outdoor"):
            name = f"depth-anything/Depth-Anything-V2-Metric-{place}-{size}-hf"
            found[name] = f"{model}-metric-{place.lower()}"
    return found


def source_of(model: Optional[Place]) -> tuple[Optional[Place], dict[str, Any]]:
    """What `DepthPipeline` takes for a model, and options that go with it.

    Raises InputError for a name that is neither on this disk nor known, and CheckpointError for a
    folder of `save_pretrained` that holds another network.
    """
    if not isinstance(model, (str, os.PathLike)):
        return model, {}
    folder = Path(model)
    if (folder / _CONFIG).is_file() and not (folder / MANIFEST).exists():
        weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
        if weights is None:
            raise CheckpointError(f"{folder}: expected {' or '.join(_WEIGHTS)} in it")
        return _model_of(folder / _CONFIG).name, {"checkpoint": weights}
    name = os.fspath(model)
    if os.path.lexists(name) or name.count("/") != 1 or "://" in name:
        return model, {}
    found = hub_names().get(name)
    if found is None:
        raise InputError(
            f"{name}: no folder here, and no name on the hub that is known here, such as {_EXAMPLE}"
        )
    return found, {}


def _model_of(path: Path) -> Model:
    """The model that a config.json of `transformers` describes. Raises CheckpointError."""
    try:
        config = parse_object(read_regular(path, _MAX_CONFIG_BYTES))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    backbone = config.get("backbone_config")
    if config.get("model_type") != "depth_anything" or not isinstance(backbone, dict):
        raise CheckpointError(
            f"{path}: model_type {config.get('model_type')!r}: expected 'depth_anything'"
        )
    metric = config.get("depth_estimation_type", "relative") == "metric"
    wanted = (
        backbone.get("hidden_size", 768),  # Dinov2Config's own default; a config.json leaves it out
        backbone.get("out_indices") or [],
        (METRES, config.get("max_depth")) if metric else (RELATIVE_INVERSE, None),
    )
    for row in models().values():
        dims = row.config
        if isinstance(dims, ModelConfig):
            taps = [tap + 1 for tap in dims.taps]
            if wanted == (dims.embed_dim, taps, (row.depth.kind, row.depth.largest)):
                return row
    raise CheckpointError(
        f"{path}: no model here has width {wanted[0]}, taps {wanted[1]} and "
        f"{wanted[2][0]} up to {wanted[2][1]}; name one with model= and checkpoint="
    )
