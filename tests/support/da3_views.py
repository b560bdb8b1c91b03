"""Small networks of any number of views, scenes for them, and names that upstream gives weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from compile.untrained import untrained_checkpoint
from depth.maps.result import FloatArray
from depth.sizes import TWICE, UPPER, SizeRule
from depth_anything_3.anyview.config import SMALL, model_row
from depth_anything_3.anyview.network import AnyViewNetwork, build
from tests.support import da3
from tests.support.upstream_names import upstream_name, upstream_stems

TINY = replace(
    SMALL,
    name="tiny-views",
    embed_dim=32,
    depth=6,
    num_heads=2,
    taps=(2, 3, 4, 5),
    alternate_from=2,
    decoder_dim=16,
    stage_dims=(8, 8, 16, 16),
)
SIZE = (56, 84)
TINY_MODEL = model_row(TINY, SizeRule(UPPER, 84, 14, TWICE))

GAUSSIAN_MODEL = model_row(
    replace(TINY, name="tiny-gaussians", gaussians=True), SizeRule(UPPER, 84, 14, TWICE)
)

_HEAD, _GS_HEAD = "model.head.", "model.gs_head."
_SCRATCH = f"{_HEAD}scratch."
_STEMS = [
    ("decoder.rays.neck.", f"{_SCRATCH}output_conv1_aux.3."),
    ("decoder.rays.conv1.", f"{_SCRATCH}output_conv2_aux.3.0."),
    ("decoder.rays.norm.", f"{_SCRATCH}output_conv2_aux.0.2."),  # as files have it
    ("decoder.rays.conv2.", f"{_SCRATCH}output_conv2_aux.3.5."),
    ("decoder.depth.conv1.", f"{_SCRATCH}output_conv2.0."),
    ("decoder.depth.conv2.", f"{_SCRATCH}output_conv2.2."),
    ("decoder.norm.", f"{_HEAD}norm."),
    ("camera_decoder.first.", "model.cam_dec.backbone.0."),
    ("camera_decoder.second.", "model.cam_dec.backbone.2."),
    ("camera_decoder.position.", "model.cam_dec.fc_t."),
    ("camera_decoder.rotation.", "model.cam_dec.fc_qvec."),
    ("camera_decoder.field_of_view.", "model.cam_dec.fc_fov.0."),
    ("camera_encoder.fc", "model.cam_enc.pose_branch.fc"),
    ("camera_encoder.blocks.", "model.cam_enc.trunk."),
    ("camera_encoder.", "model.cam_enc."),
    *upstream_stems("model.backbone.pretrained.", _HEAD, {}),
]
_GAUSSIAN_STEMS = [
    *((f"decoder.picture.{i}.", f"{_GS_HEAD}images_merger.{2 * i}.") for i in range(3)),
    *((f"decoder.conv{i + 1}.", f"{_GS_HEAD}scratch.output_conv2.{2 * i}.") for i in range(2)),
    *upstream_stems("", _GS_HEAD, {}),
]
_PARTS = {"skip_unit": "resConfUnit1", "unit": "resConfUnit2", "project": "out_conv"}


def network() -> AnyViewNetwork:
    """The tiny network with fixed-seed weights, in eval mode, at no fixed size."""
    found = build(TINY_MODEL)
    found.load_state_dict(untrained_checkpoint(TINY_MODEL).state)
    return found.eval().requires_grad_(False)


@cache
def gaussian_weights() -> dict[str, Tensor]:
    """Those of the tiny network with Gaussians; not to be written to."""
    return untrained_checkpoint(GAUSSIAN_MODEL).state


@cache
def weights() -> dict[str, Tensor]:
    """Its weights under our names; not to be written to."""
    return network().state_dict()


def same(found: AnyViewNetwork) -> None:
    """Raises AssertionError unless a network has these weights."""
    for name, tensor in weights().items():
        assert torch.equal(found.state_dict()[name], tensor), name


def nested_state() -> dict[str, Tensor]:
    """A file of two networks under upstream's names: the tiny ones of several views and of one."""
    any_view, metric = to_upstream(weights()), da3.to_upstream(da3.weights())
    return {
        **{f"model.da3.{key[len('model.') :]}": value for key, value in any_view.items()},
        **{f"model.da3_metric.{key[len('model.') :]}": value for key, value in metric.items()},
    }


def scene(views: int, size: tuple[int, int] = SIZE, seed: int = 0) -> FloatArray:
    """Network inputs [S,3,H,W] that differ in more than their noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.standard_normal((views, 3, size[0] // 14, size[1] // 14))
    coarse = coarse * np.linspace(0.5, 1.5, views)[:, None, None, None] + rng.standard_normal(
        (views, 3, 1, 1)
    )
    smooth = np.kron(coarse, np.ones((1, 1, 14, 14)))
    return (smooth + 0.1 * rng.standard_normal(smooth.shape)).astype(np.float32)


def ring(views: int, size: tuple[int, int] = SIZE) -> tuple[FloatArray, FloatArray]:
    """Cameras on an arc, the first of them not at the origin: extrinsics [S,4,4], intrinsics."""
    placed = np.tile(np.eye(4), (views, 1, 1))
    for view, matrix in enumerate(placed):
        angle = 0.3 + 0.2 * view
        cosine, sine = np.cos(angle), np.sin(angle)
        matrix[:3, :3] = [[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]
        matrix[:3, 3] = 0.5 - 0.4 * view, 0.1 * view * view, 0.2 * view
    lens = np.tile(np.eye(3), (views, 1, 1))
    lens[:, 0, 0], lens[:, 1, 1] = 0.9 * size[1], 0.8 * size[1]
    lens[:, 0, 2], lens[:, 1, 2] = size[1] / 2, size[0] / 2
    return placed.astype(np.float32), lens.astype(np.float32)


def to_upstream(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under upstream's names, as its files have them."""
    return {_upstream(name): tensor for name, tensor in ours.items()}


def _upstream(ours: str) -> str:
    start = "gaussians."
    if ours.startswith(start):
        return upstream_name(ours.replace(start, "decoder.", 1), _GAUSSIAN_STEMS)
    start = "decoder.rays.merge.fuse"
    if ours.startswith(start):
        number, part, rest = ours[len(start) :].split(".", 2)
        return f"{_SCRATCH}refinenet{int(number) + 1}_aux.{_PARTS[part]}.{rest}"
    return upstream_name(ours, _STEMS)
