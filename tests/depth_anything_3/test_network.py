"""Depth Anything 3's networks of one view: their shape, their parts, and their published names."""

from __future__ import annotations

import warnings

import pytest
import torch

from compile.shapes_only import build_without_values
from depth.errors import CheckpointError, InputError
from depth.family import FAMILIES, models
from depth_anything_3.mono.config import MONO_MODELS
from depth_anything_3.mono.layouts import load_weights, to_ours
from depth_anything_3.mono.network import MonoNetwork
from depth_anything_3.published import FILES
from tests.support.da3 import TINY_METRIC, TINY_MONO, network, to_upstream, weights

IMAGES = torch.randn(2, 3, 56, 84, generator=torch.Generator().manual_seed(0))


def test_depth_is_positive_and_sky_is_not_negative() -> None:
    depth, sky = network()(IMAGES)
    assert depth.shape == sky.shape == (2, 56, 84)
    assert depth.min() > 0
    assert sky.min() >= 0
    assert 0.05 < (sky >= 0.3).float().mean() < 0.95


def test_the_stages_joined_are_the_network() -> None:
    made = network()
    expected = made(IMAGES)
    made.fix_size(56, 84)
    features = made.stage("encoder")(IMAGES)
    assert features.shape == (2, 4 * 6, 4 * 24)
    found = made.stage("decoder")(features)
    assert all(torch.equal(a, b) for a, b in zip(found, expected))


def test_a_trace_has_no_warning_and_gives_both_outputs() -> None:
    made = network()
    made.fix_size(56, 84)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        traced = torch.jit.trace(made, (IMAGES,))
    for found, expected in zip(traced(IMAGES), made(IMAGES)):
        assert torch.allclose(found, expected, atol=1e-6)
    assert "bicubic" not in str(traced.inlined_graph)


def test_the_last_norm_of_the_encoder_is_another_than_that_of_its_blocks() -> None:
    encoder = MonoNetwork(TINY_MONO).encoder
    assert encoder.norm.eps == 1e-5
    assert {block.norm1.eps for block in encoder.blocks} == {1e-6}


@pytest.mark.parametrize("name", MONO_MODELS)
def test_a_published_file_has_upstreams_numbers(name: str) -> None:
    made = build_without_values(MONO_MODELS[name])
    state = made.state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == 334_171_394
    assert len(to_upstream(state)) == 406


def test_every_upstream_key_is_renamed() -> None:
    ours = weights()
    renamed = to_ours(to_upstream(ours))
    assert renamed.keys() == ours.keys()
    assert all(renamed[name] is tensor for name, tensor in ours.items())


def test_both_models_load_either_layout() -> None:
    for model in (TINY_MONO, TINY_METRIC):
        made = MonoNetwork(model)
        for state in (to_upstream(weights()), weights()):
            load_weights(made, state, "tiny.safetensors")
            assert torch.equal(made.eval()(IMAGES)[0], network()(IMAGES)[0])


@pytest.mark.parametrize(
    "key",
    ["model.cam_dec.fc_t.bias", "model.da3.head.norm.bias", "model.head.norm.weight"],
)
def test_weights_of_several_views_are_recognised(key: str) -> None:
    state = {**to_upstream(weights()), key: torch.zeros(3)}
    with pytest.raises(CheckpointError, match="a.safetensors has the weights of .* several views"):
        load_weights(MonoNetwork(TINY_MONO), state, "a.safetensors")


def test_other_files_are_refused_by_name() -> None:
    made = MonoNetwork(TINY_MONO)
    extra = {"model.backbone.pretrained.camera_token": torch.zeros(1, 2, 24)}
    with pytest.raises(CheckpointError, match="unexpected encoder.camera_token"):
        load_weights(made, {**to_upstream(weights()), **extra}, "x")
    with pytest.raises(CheckpointError, match=r"expected model.\*, or encoder.\*"):
        load_weights(made, {"pretrained.cls_token": torch.zeros(1)}, "x")
    with pytest.raises(CheckpointError, match="unknown keys in the checkpoint: model.head.more"):
        load_weights(made, {**to_upstream(weights()), "model.head.more": torch.zeros(1)}, "x")
    large = {"encoder.position.pos_embed": torch.zeros(1, 1370, 1024), "decoder.a": torch.zeros(1)}
    large.update({f"encoder.blocks.{i}.norm1.bias": torch.zeros(1024) for i in range(24)})
    with pytest.raises(CheckpointError, match="the file looks like 'da3mono-large'"):
        load_weights(made, large, "x")


def test_a_size_between_patches_is_refused() -> None:
    with pytest.raises(InputError, match="height 57 px: must be a multiple of 14"):
        network()(torch.zeros(1, 3, 57, 84))


def test_the_family_is_in_the_table() -> None:
    assert "depth_anything_3" in FAMILIES
    found = models()
    assert found["da3mono-large"].kind == "relative_depth"
    assert (found["da3metric-large"].depth.kind, found["da3metric-large"].kind) == (
        "focal_normalised",
        "metres",
    )
    assert found["da3mono-large"].size.size_for(1362, 2048) == (336, 504)
    assert {file.model for file in FILES} > set(MONO_MODELS)
