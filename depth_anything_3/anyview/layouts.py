"""Renames published parameters of the models of any number of views to ours.

upstream  ByteDance-Seed/Depth-Anything-3, as its `save_pretrained` writes them
ours      the network's own state dict
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Union

from torch import Tensor

from depth.errors import CheckpointError
from depth.network.layouts import Layout, Rule, dpt_rules, load, renamed, vit_rules
from depth_anything_3.anyview.config import ANY_VIEW_MODELS
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.mono.layouts import load_weights as load_mono
from depth_anything_3.mono.network import MonoNetwork

logger = logging.getLogger(__name__)

_GAUSSIANS = "gaussians."
_EXPECTED = (
    "Depth Anything 3 checkpoint of several views: model.*, or encoder.*, decoder.* and camera_*"
)
_SCRATCH = r"model\.head\.scratch\."
_AUX_CONV = _SCRATCH + r"output_conv2_aux\."
_GS_HEAD = "model.gs_head."
# Upstream has one LayerNorm in four places, of which the last is called: files have the first only.
_STORED, _CALLED = "output_conv2_aux.0.2.", "output_conv2_aux.3.2."
_FUSION = {"resConfUnit1": "skip_unit", "resConfUnit2": "unit", "out_conv": "project"}
_OURS = ("encoder", "decoder", "camera_decoder", "camera_encoder")


def _ray_rules() -> list[Rule]:
    """The branch of rays; its levels 0 to 2 compute what nobody reads."""
    rules: list[Rule] = [(_SCRATCH + r"refinenet4_aux\.resConfUnit1\..*", None)]
    for ours in range(4):
        for theirs, name in _FUSION.items():
            pattern = _SCRATCH + rf"refinenet{ours + 1}_aux\.{theirs}\.(.*)"
            rules.append((pattern, rf"decoder.rays.merge.fuse{ours}.{name}.\1"))
    return [
        *rules,
        (_SCRATCH + r"output_conv[12]_aux\.[012]\..*", None),
        (_SCRATCH + r"output_conv1_aux\.3\.(.*)", r"decoder.rays.neck.\1"),
        (_AUX_CONV + r"3\.0\.(.*)", r"decoder.rays.conv1.\1"),
        (_AUX_CONV + r"3\.2\.(.*)", r"decoder.rays.norm.\1"),
        (_AUX_CONV + r"3\.5\.(.*)", r"decoder.rays.conv2.\1"),
    ]


def _gaussian_rules() -> list[Rule]:
    """The decoder of Gaussians: named as that of depth, and with convolutions of the image."""
    conv = re.escape(_GS_HEAD) + r"scratch\.output_conv2\."
    rules: list[Rule] = [
        (re.escape(_GS_HEAD) + rf"images_merger\.{2 * i}\.(.*)", rf"{_GAUSSIANS}picture.{i}.\1")
        for i in range(3)
    ]
    for pattern, ours in dpt_rules(_GS_HEAD, {}):
        rules.append((pattern, ours and ours.replace("decoder.", _GAUSSIANS, 1)))
    rules += [(conv + rf"{2 * i}\.(.*)", rf"{_GAUSSIANS}conv{i + 1}.\1") for i in range(2)]
    return rules


_CAMERA_RULES: list[Rule] = [
    (r"model\.cam_dec\.backbone\.0\.(.*)", r"camera_decoder.first.\1"),
    (r"model\.cam_dec\.backbone\.2\.(.*)", r"camera_decoder.second.\1"),
    (r"model\.cam_dec\.fc_t\.(.*)", r"camera_decoder.position.\1"),
    (r"model\.cam_dec\.fc_qvec\.(.*)", r"camera_decoder.rotation.\1"),
    (r"model\.cam_dec\.fc_fov\.0\.(.*)", r"camera_decoder.field_of_view.\1"),
    (r"model\.cam_enc\.pose_branch\.(.*)", r"camera_encoder.\1"),
    (r"model\.cam_enc\.(token_norm|trunk_norm)\.(.*)", r"camera_encoder.\1.\2"),
    (r"model\.cam_enc\.trunk\.(\d+)\.ls([12])\.gamma", r"camera_encoder.blocks.\1.scale\2.gamma"),
    (r"model\.cam_enc\.trunk\.(.*)", r"camera_encoder.blocks.\1"),
]

UPSTREAM = Layout(
    "upstream",
    frozenset({"model"}),
    (
        *vit_rules("model.backbone.pretrained."),
        (r"model\.head\.norm\.(.*)", r"decoder.norm.\1"),
        *_ray_rules(),
        (_SCRATCH + r"output_conv2\.0\.(.*)", r"decoder.depth.conv1.\1"),
        (_SCRATCH + r"output_conv2\.2\.(.*)", r"decoder.depth.conv2.\1"),
        *dpt_rules("model.head.", {}),
        *_CAMERA_RULES,
        *_gaussian_rules(),
    ),
)
OURS = Layout("ours", frozenset(_OURS), ((rf"((?:{'|'.join((*_OURS, 'gaussians'))})\..*)", r"\1"),))


def to_ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict under our names; tensors are shared, not copied.

    Raises CheckpointError as `depth.network.layouts.renamed`.
    """
    kept = dict(state)
    for key, tensor in list(kept.items()):
        if _STORED in key:
            kept.setdefault(key.replace(_STORED, _CALLED), tensor)
    return renamed(kept, (UPSTREAM, OURS), _EXPECTED)


def load_weights(network: AnyViewNetwork, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict of either layout into a network, all keys or none.

    Raises CheckpointError that names the keys that do not fit and the model the file looks like.
    """
    if _nested(state):
        raise CheckpointError(
            f"{source} has the weights of two networks, one for metres; load them as "
            "da3nested-giant-large"
        )
    configs = {name: row.config for name, row in ANY_VIEW_MODELS.items()}
    ours = to_ours(state)
    if network.gaussians is None:
        ours = _without_gaussians(ours, network.model.name)
    load(network, ours, source, configs)


def _without_gaussians(ours: dict[str, Tensor], model: str) -> dict[str, Tensor]:
    """For a model that does not compute Gaussians, though the file has their weights."""
    kept = {name: tensor for name, tensor in ours.items() if not name.startswith(_GAUSSIANS)}
    if len(kept) < len(ours):
        count = len(ours) - len(kept)
        logger.warning("%d weights of Gaussians are left out: %s gives none", count, model)
    return kept


def load_nested(
    any_view: AnyViewNetwork, metric: MonoNetwork, state: Mapping[str, Tensor], source: str
) -> None:
    """Load a file of two networks. Raises CheckpointError as `load_weights`.

    Nothing is loaded into `metric` if the other network's weights do not fit.
    """
    if not _nested(state):
        raise CheckpointError(f"{source}: expected model.da3.* and model.da3_metric.*")
    other = [key for key in state if not key.startswith(_NESTED)]
    if other:
        raise CheckpointError(f"unknown keys in the checkpoint: {', '.join(sorted(other)[:3])}")
    networks: tuple[Union[AnyViewNetwork, MonoNetwork], ...] = (any_view, metric)
    for prefix, network in zip(_NESTED, networks):
        part = {
            f"model.{key[len(prefix) :]}": tensor
            for key, tensor in state.items()
            if key.startswith(prefix)
        }
        where = f"{source} ({prefix}*)"
        if isinstance(network, MonoNetwork):
            load_mono(network, part, where)
        else:
            load_weights(network, part, where)


_NESTED = ("model.da3.", "model.da3_metric.")


def _nested(state: Mapping[str, Tensor]) -> bool:
    return all(any(key.startswith(prefix) for key in state) for prefix in _NESTED)
