"""Weights of networks of any number of views: published names, numbers of parameters."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import nn

from compile import shapes_only
from compile.untrained import untrained_checkpoint
from depth.errors import CheckpointError
from depth_anything_3.anyview.config import ANY_VIEW_MODELS, NESTED_MODELS
from depth_anything_3.anyview.layouts import load_nested, load_weights, to_ours
from depth_anything_3.anyview.network import AnyViewNetwork, build
from depth_anything_3.anyview.stages import views_of
from depth_anything_3.mono.network import MonoNetwork
from tests.support import da3
from tests.support.da3_views import (
    GAUSSIAN_MODEL,
    TINY_MODEL,
    gaussian_weights,
    nested_state,
    network,
    same,
    scene,
    to_upstream,
    weights,
)

# Parameters that upstream has: facts that its own code was counted for.
PUBLISHED = {
    "da3-small": 34_299_463,
    "da3-base": 135_366_599,
    "da3-large": 410_941_767,
    "da3-giant": 1_355_674_125,
}
PARTS_M = {  # of the backbone, the camera decoder and the camera encoder
    "da3-small": (22.06, 1.19, 7.18),
    "da3-base": (86.58, 4.74, 28.66),
    "da3-large": (304.37, 8.41, 50.93),
    "da3-giant": (1136.49, 18.91, 114.53),
}
KEYS_IN_FILE = {"da3-small": 437, "da3-base": 437, "da3-giant": 971}
GAUSSIANS_M = 35.63
NORM = "model.head.scratch.output_conv2_aux."


def count(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def unread(f: int) -> int:
    """Parameters of the three levels of rays that upstream computes and throws away."""
    half = f // 2
    neck = 3 * (f * half * 9 + half) + 2 * (half * f * 9 + f)
    return 3 * (neck + half * 32 * 9 + 32 + 32 * 7 + 7)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_has_upstreams_parameters(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ANY_VIEW_MODELS[name]
    monkeypatch.setattr(shapes_only, "build", build)  # the table of families has not these
    made = shapes_only.build_without_values(row)
    assert isinstance(made, AnyViewNetwork)
    left_out = unread(row.config.decoder_dim)
    if name == "da3-small":
        assert left_out == 305_589
    assert count(made) + left_out == PUBLISHED[name]
    if name == "da3-giant":
        assert made.gaussians is not None
        assert round(count(made.gaussians) / 1e6, 2) == GAUSSIANS_M
    else:
        assert made.gaussians is None
    parts = (made.encoder, made.camera_decoder, made.camera_encoder)
    assert tuple(round(count(part) / 1e6, 2) for part in parts) == PARTS_M[name]
    if name in KEYS_IN_FILE:
        levels = 3 * (2 * 5 + 4)  # five convolutions, and two that follow
        assert len(made.state_dict()) + levels == KEYS_IN_FILE[name]


def test_the_nested_model_is_two_others() -> None:
    row = NESTED_MODELS["da3nested-giant-large"]
    metric = shapes_only.build_without_values(row.metric)
    assert row.any_view is ANY_VIEW_MODELS["da3-giant"]
    assert count(metric) + PUBLISHED["da3-giant"] == 1_689_845_519


def test_either_layout_loads() -> None:
    for state in (to_upstream(weights()), weights()):
        made = build(TINY_MODEL)
        load_weights(made, state, "tiny.safetensors")
        same(made)


def test_every_upstream_key_is_renamed() -> None:
    ours = weights()
    renamed = to_ours(to_upstream(ours))
    assert renamed.keys() == ours.keys()
    assert all(renamed[name] is tensor for name, tensor in ours.items())


def test_levels_that_nobody_reads_are_dropped() -> None:
    state = to_upstream(weights())
    for level in range(3):
        state[f"model.head.scratch.output_conv1_aux.{level}.0.weight"] = torch.zeros(1)
        state[f"{NORM}{level}.5.bias"] = torch.zeros(7)
    state["model.head.scratch.refinenet4_aux.resConfUnit1.conv1.bias"] = torch.zeros(1)
    made = build(TINY_MODEL)
    load_weights(made, state, "x")
    same(made)


def test_the_layer_norm_that_is_called_goes_before_the_stored_one() -> None:
    """A whole state dict has all four names of the one LayerNorm."""
    state, called = to_upstream(weights()), torch.full((32,), 3.0)
    for level in range(1, 4):
        state[f"{NORM}{level}.2.weight"] = state[f"{NORM}0.2.weight"]
    made = build(TINY_MODEL)
    load_weights(made, state, "x")
    same(made)
    load_weights(made, {**state, f"{NORM}3.2.weight": called}, "x")
    assert torch.equal(made.decoder.rays.norm.weight, called)
    del state[f"{NORM}0.2.weight"], state[f"{NORM}3.2.weight"]
    with pytest.raises(CheckpointError, match=r"missing decoder\.rays\.norm\.weight"):
        load_weights(made, state, "x")


def test_a_model_without_gaussians_leaves_them_out_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = to_upstream(weights())
    state["model.gs_head.projects.0.weight"] = torch.zeros(2)
    state["model.gs_head.images_merger.0.bias"] = torch.zeros(2)
    made = build(TINY_MODEL)
    with caplog.at_level(logging.WARNING):
        load_weights(made, state, "x")
    assert "2 weights of Gaussians are left out" in caplog.text
    same(made)
    caplog.clear()
    load_weights(made, to_upstream(weights()), "x")
    assert not caplog.text


def test_the_decoder_of_gaussians_loads_and_every_key_counts() -> None:
    state = to_upstream(gaussian_weights())
    made = build(GAUSSIAN_MODEL)
    load_weights(made, state, "x")
    for name, tensor in gaussian_weights().items():
        assert torch.equal(made.state_dict()[name], tensor), name
    theirs = [key for key in state if key.startswith("model.gs_head.")]
    assert len(theirs) == 66
    for key in theirs:
        with pytest.raises(CheckpointError, match="missing gaussians"):
            load_weights(made, {k: v for k, v in state.items() if k != key}, "x")
    with pytest.raises(CheckpointError, match="unknown keys in the checkpoint: model.gs_head.norm"):
        load_weights(made, {**state, "model.gs_head.norm.bias": torch.zeros(1)}, "x")
    with pytest.raises(CheckpointError, match="missing gaussians"):
        load_weights(made, to_upstream(weights()), "x")


def test_other_files_are_refused_by_name() -> None:
    made, state = build(TINY_MODEL), to_upstream(weights())
    with pytest.raises(CheckpointError, match="unknown keys in the checkpoint: model.cam_dec.more"):
        load_weights(made, {**state, "model.cam_dec.more": torch.zeros(1)}, "x")
    with pytest.raises(CheckpointError, match="of several views: keys start with pretrained"):
        load_weights(made, {"pretrained.cls_token": torch.zeros(1)}, "x")
    without = {key: value for key, value in state.items() if "camera_token" not in key}
    with pytest.raises(CheckpointError, match="x does not fit .* missing encoder.camera_token"):
        load_weights(made, without, "x")
    with pytest.raises(CheckpointError, match=r"expected \(1, 2, 32\)"):
        load_weights(made, {**weights(), "encoder.camera_token": torch.zeros(1, 2, 16)}, "x")
    mono = da3.to_upstream(da3.weights())
    with pytest.raises(CheckpointError, match="unknown keys in the checkpoint: .*sky_output_conv2"):
        load_weights(made, mono, "x")
    small = {"encoder.position.pos_embed": torch.zeros(1, 1370, 384), "decoder.a": torch.zeros(1)}
    small.update({f"encoder.blocks.{i}.norm1.bias": torch.zeros(384) for i in range(12)})
    small.update({"camera_decoder.a": torch.zeros(1), "camera_encoder.a": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="the file looks like 'da3-small'"):
        load_weights(made, small, "x")


def test_a_file_of_two_networks() -> None:
    any_view, metric = build(TINY_MODEL), MonoNetwork(da3.TINY_METRIC)
    load_nested(any_view, metric, nested_state(), "nested.safetensors")
    same(any_view)
    assert torch.equal(metric.encoder.norm.weight, da3.weights()["encoder.norm.weight"])
    with pytest.raises(CheckpointError, match="two networks, one for metres"):
        load_weights(any_view, nested_state(), "x")
    with pytest.raises(CheckpointError, match=r"expected model.da3.\* and model.da3_metric.\*"):
        load_nested(any_view, metric, to_upstream(weights()), "x")
    with pytest.raises(CheckpointError, match="unknown keys in the checkpoint: model.third.a"):
        load_nested(any_view, metric, {**nested_state(), "model.third.a": torch.zeros(1)}, "x")
    damaged = {k: v for k, v in nested_state().items() if "da3_metric.head.projects.0" not in k}
    with pytest.raises(CheckpointError, match=r"x \(model.da3_metric.\*\) does not fit"):
        load_nested(any_view, metric, damaged, "x")


def test_untrained_weights_are_the_same_everywhere_and_make_cameras() -> None:
    first, second = untrained_checkpoint(TINY_MODEL).state, untrained_checkpoint(TINY_MODEL).state
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = untrained_checkpoint(TINY_MODEL, seed=1).state
    assert not torch.equal(first["encoder.camera_token"], other["encoder.camera_token"])
    bias = first["camera_decoder.field_of_view.bias"]
    assert torch.allclose(bias, torch.ones(2), atol=0.3)
    found = views_of(network(), scene(3))
    assert np.ptp(found.depth) > 0.2 * np.median(found.depth)
    assert found.depth.max() < 100
