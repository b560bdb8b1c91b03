"""The other published implementation of the network gives the same numbers, and its files load."""

from __future__ import annotations

import copy
import functools
import logging
import os
from importlib.util import find_spec
from typing import Any, Optional

import pytest
import torch
from torch import Tensor

from depth.errors import CheckpointError
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.layouts import load_weights, to_ours
from depth_anything_v2.network import DepthAnything
from tests.support.models import TINY, TINY_GIANT, untrained
from tests.support.transformers_network import SIZE_PX, theirs

# Imported where it is used: it takes seconds, in every worker of a test run.
pytestmark = pytest.mark.skipif(
    find_spec("transformers") is None,
    reason="transformers is in the CPU lane only: its releases want a newer torch",
)

logger = logging.getLogger(__name__)
EVERY_SIZE = "DEPTH_TEST_EVERY_SIZE"  # a variable of the environment


every_size = pytest.mark.skipif(
    not os.environ.get(EVERY_SIZE),
    reason=f"walks the same path as the small networks and takes 10 s; set {EVERY_SIZE}=1",
)


@pytest.mark.parametrize(
    ("config", "max_depth_m"),
    [
        (TINY, None),
        (TINY, 20.0),
        (TINY_GIANT, None),
        pytest.param(CONFIGS["vits"], None, marks=every_size),
        pytest.param(CONFIGS["vitb"], None, marks=every_size),
    ],
    ids=["relative", "metric", "gated feed-forward", "vits", "vitb"],
)
def test_the_same_numbers(config: Any, max_depth_m: Optional[float]) -> None:
    reference = theirs(config, max_depth_m)
    ours = untrained(config, max_depth_m).eval()
    load_weights(ours, reference.state_dict(), "theirs")
    ours.fix_size(SIZE_PX, SIZE_PX)
    images = torch.randn(1, 3, SIZE_PX, SIZE_PX)
    with torch.no_grad():
        expected, found = reference(images).predicted_depth, ours(images)
    assert expected.shape == found.shape
    assert expected.std() > 0.01 * expected.max(), "a flat picture would prove nothing"
    assert (expected > 0).float().mean() > 0.5
    error = (expected - found).abs().max() / expected.abs().max()
    logger.info("%s: differs by %.2e of the largest value", config.name, error)
    assert error <= 1e-5


@pytest.fixture(scope="module")
def vits() -> dict[str, Tensor]:
    return theirs(CONFIGS["vits"]).state_dict()  # type: ignore[no-any-return]


@functools.cache
def ours_vits() -> DepthAnything:
    return untrained(CONFIGS["vits"])


def problem(state: dict[str, Tensor]) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_weights(ours_vits(), state, "theirs.safetensors")
    return str(caught.value)


def test_a_missing_part_of_the_attention_is_named(vits: dict[str, Tensor]) -> None:
    state = dict(vits)
    del state["backbone.encoder.layer.3.attention.attention.query.weight"]
    text = problem(state)
    assert "theirs.safetensors does not fit this network; the file looks like 'vits'" in text
    assert "missing encoder.blocks.3.attn.qkv.weight" in text
    assert "unexpected encoder.blocks.3.attn.qkv.weight#1" in text


@pytest.mark.parametrize("shape", [(), (384, 385), (383, 384)])
def test_a_part_of_the_attention_that_does_not_fit_is_named(
    vits: dict[str, Tensor], shape: tuple[int, ...]
) -> None:
    query = "backbone.encoder.layer.3.attention.attention.query.weight"
    text = problem({**vits, query: torch.zeros(shape)})
    assert "missing encoder.blocks.3.attn.qkv.weight, " in text
    assert "unexpected encoder.blocks.3.attn.qkv.weight#0" in text


def test_parts_of_the_attention_without_a_dimension_are_named(vits: dict[str, Tensor]) -> None:
    layer = "backbone.encoder.layer.3.attention.attention."
    scalars = {f"{layer}{part}.weight": torch.tensor(1.0) for part in ("query", "key", "value")}
    assert "unexpected encoder.blocks.3.attn.qkv.weight#1 and 1 more" in problem(
        {**vits, **scalars}
    )


def test_an_unknown_key_is_named(vits: dict[str, Tensor]) -> None:
    assert problem({**vits, "neck.novelty.weight": torch.zeros(1)}) == (
        "unknown keys in the checkpoint: neck.novelty.weight"
    )


def test_a_wrong_shape_is_named(vits: dict[str, Tensor]) -> None:
    text = problem({**vits, "head.conv1.bias": torch.zeros(5)})
    assert text.endswith("looks like 'vits': decoder.reduce.bias is (5,), expected (32,)")


def test_dropped_parameters_are_unused() -> None:
    reference = copy.deepcopy(theirs(TINY))
    used = to_ours(reference.state_dict())
    dropped = [
        name
        for name in reference.state_dict()
        if name.endswith("mask_token") or ".fusion_stage.layers.0.residual_layer1." in name
    ]
    assert len(dropped) == 5
    # Two more tensors of each attention and its biases are stacked into one.
    assert len(used) == len(reference.state_dict()) - len(dropped) - 4 * TINY.depth
    images = torch.randn(1, 3, SIZE_PX, SIZE_PX)
    before = reference(images).predicted_depth
    parameters = dict(reference.named_parameters())
    for name in dropped:
        parameters[name].data.fill_(7.0)
    assert torch.equal(reference(images).predicted_depth, before)
