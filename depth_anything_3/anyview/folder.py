"""A model from a folder as upstream's `save_pretrained` writes it: config.json and weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from depth.artifact.strict_json import parse_object
from depth.errors import CheckpointError, InputError
from depth.files import read_regular
from depth.weights.checkpoint import read_checkpoint
from depth.weights.registry import by_sha256
from depth_anything_3.anyview.config import ANY_VIEW_MODELS, NESTED_MODELS
from depth_anything_3.anyview.layouts import load_nested, load_weights
from depth_anything_3.anyview.network import AnyViewNetwork, build
from depth_anything_3.mono.network import MonoNetwork

CONFIG_NAME, WEIGHTS_NAME = "config.json", "model.safetensors"
_MAX_CONFIG_BYTES = 1 << 20
_OBJECT = "__object__"
# What upstream's configurations name. The names are compared as text: nothing is imported by them.
_CLASSES = {
    "depth_anything_3.model.da3": ("DepthAnything3Net", "NestedDepthAnything3Net"),
    "depth_anything_3.model.dinov2.dinov2": ("DinoV2",),
    "depth_anything_3.model.dpt": ("DPT",),
    "depth_anything_3.model.dualdpt": ("DualDPT",),
    "depth_anything_3.model.gsdpt": ("GSDPT",),
    "depth_anything_3.model.gs_adapter": ("GaussianAdapter",),
    "depth_anything_3.model.cam_enc": ("CameraEnc",),
    "depth_anything_3.model.cam_dec": ("CameraDec",),
}


@dataclass(frozen=True)
class AnyView:
    """A model of any number of views with its weights; `metric` is there if it knows metres."""

    name: str
    network: AnyViewNetwork
    metric: Optional[MonoNetwork] = None


def built(name: str) -> AnyView:
    """A model by its name, weights as torch makes them, in eval mode.

    Raises InputError that lists the names there are.
    """
    if name in NESTED_MODELS:
        row = NESTED_MODELS[name]
        return AnyView(name, _still(build(row.any_view)), _still(MonoNetwork(row.metric)))
    if name not in ANY_VIEW_MODELS:
        names = ", ".join((*ANY_VIEW_MODELS, *NESTED_MODELS))
        raise InputError(f"no model {name!r} of several views; choose from {names}")
    return AnyView(name, _still(build(ANY_VIEW_MODELS[name])))


def from_folder(folder: Path) -> AnyView:
    """The model of a folder, with its weights.

    Of config.json only `model_name` is used. Raises CheckpointError if a file is missing, damaged,
    of another model, or config.json names a class that is not upstream's; InputError for a model
    that is not of several views.
    """
    name = model_name(folder / CONFIG_NAME)
    path = folder / WEIGHTS_NAME
    model, checkpoint = built(name), read_checkpoint(path)
    published = by_sha256(checkpoint.sha256)
    if published is not None and published.model != name:
        raise CheckpointError(f"{path}: is published as {published.model}, not as {name}")
    if model.metric is not None:
        load_nested(model.network, model.metric, checkpoint.state, str(path))
    else:
        load_weights(model.network, checkpoint.state, str(path))
    return model


def model_name(path: Path) -> str:
    """The model that a config.json names. The file is untrusted text: nothing in it is run.

    Raises CheckpointError for a file that is not readable, that names no model, or that names a
    class by `__object__` that is not upstream's.
    """
    try:
        data = parse_object(read_regular(path, _MAX_CONFIG_BYTES))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a readable config.json: {error}") from error
    for found in _objects(data):
        if not _known(found):
            raise CheckpointError(
                f"{path}: {_OBJECT} names {found!r}, which is no class of Depth Anything 3; "
                "classes are never loaded from a file: keep `model_name` alone"
            )
    name = data.get("model_name")
    if not isinstance(name, str):
        raise CheckpointError(f"{path}: model_name is {name!r}, expected a text")
    return name


def _objects(data: Any) -> Iterator[Any]:
    """What stands for `__object__`, at any depth."""
    left = [data]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if _OBJECT in value:
                yield value[_OBJECT]
            left += value.values()
        elif isinstance(value, list):
            left += value


def _known(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    path, name = found.get("path"), found.get("name")
    return isinstance(path, str) and name in _CLASSES.get(path, ())


def _still(network: Any) -> Any:
    return network.eval().requires_grad_(False)
