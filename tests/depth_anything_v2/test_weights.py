"""Published names meet ours: every key of every layout is accounted for, or refused by name."""

from __future__ import annotations

import re
from typing import Callable

import pytest
import torch
from torch import Tensor

from depth.errors import CheckpointError
from depth.family import ModelConfig
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.layouts import load_weights, to_ours
from tests.support.models import TINY, TINY_GIANT, to_upstream, untrained, weights

UNUSED = {
    "pretrained.mask_token",
    "depth_head.scratch.refinenet4.resConfUnit1.conv1.weight",
    "depth_head.scratch.refinenet4.resConfUnit1.conv1.bias",
    "depth_head.scratch.refinenet4.resConfUnit1.conv2.weight",
    "depth_head.scratch.refinenet4.resConfUnit1.conv2.bias",
}


@pytest.fixture(scope="module")
def vits() -> dict[str, Tensor]:
    return weights(CONFIGS["vits"])


@pytest.mark.parametrize("config", [TINY, TINY_GIANT], ids=lambda config: config.name)
def test_every_upstream_key_is_renamed_or_dropped_on_purpose(config: ModelConfig) -> None:
    ours = weights(config)
    renamed = to_ours(to_upstream(ours))
    assert renamed.keys() == ours.keys()
    assert all(renamed[name] is tensor for name, tensor in ours.items())
    assert len(to_upstream(ours)) - len(renamed) == len(UNUSED)
    assert to_upstream(ours).keys() > UNUSED


def test_a_vits_checkpoint_has_upstreams_239_tensors(vits: dict[str, Tensor]) -> None:
    assert len(to_upstream(vits)) == 239


def test_our_own_layout_round_trips() -> None:
    ours = weights(TINY)
    network = untrained(TINY)
    load_weights(network, ours, "ours.safetensors")
    saved = network.state_dict()
    assert all(torch.equal(saved[name], tensor) for name, tensor in ours.items())
    load_weights(untrained(TINY), saved, "again")


@pytest.mark.parametrize("prefix", ["module.", "model.", "net.model.", "network.", "model._orig."])
@pytest.mark.parametrize("layout", [to_upstream, dict], ids=["upstream", "ours"])
def test_a_prefix_that_all_keys_have_is_taken_off_and_said(
    prefix: str, layout: Callable[..., dict[str, Tensor]], caplog: pytest.LogCaptureFixture
) -> None:
    ours = weights(TINY)
    wrapped = {prefix + name: tensor for name, tensor in layout(ours).items()}
    renamed = to_ours(wrapped)
    assert renamed.keys() == ours.keys()
    assert all(renamed[name] is tensor for name, tensor in ours.items())
    said = [] if prefix == "network." else [f"begin with {prefix!r}, which is taken off"]
    assert [record.message.partition("weights ")[2] for record in caplog.records] == said


def test_a_prefix_that_some_keys_have_is_refused() -> None:
    wrapped = {f"model.{name}": tensor for name, tensor in to_upstream(weights(TINY)).items()}
    with pytest.raises(CheckpointError, match="keys start with loss, model; expected"):
        to_ours({**wrapped, "loss.weight": torch.ones(1)})


def test_half_precision_is_widened() -> None:
    network = untrained(TINY)
    load_weights(network, {k: v.half() for k, v in weights(TINY).items()}, "half.pth")
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}


def problem(state: dict[str, Tensor], name: str = "vits") -> str:
    network = untrained(CONFIGS[name])
    before = network.decoder.reduce.weight.clone()
    with pytest.raises(CheckpointError) as caught:
        load_weights(network, state, "my.pth")
    assert torch.equal(network.decoder.reduce.weight, before)  # all keys or none
    return str(caught.value)


def test_an_unknown_key_is_named(vits: dict[str, Tensor]) -> None:
    state = {**to_upstream(vits), "depth_head.scratch.output_conv9.weight": torch.zeros(1)}
    text = problem(state)
    assert text == "unknown keys in the checkpoint: depth_head.scratch.output_conv9.weight"


def test_an_unknown_key_that_a_broad_rule_renames_is_named_too(vits: dict[str, Tensor]) -> None:
    state = {**to_upstream(vits), "pretrained.register_tokens": torch.zeros(1, 4, 384)}
    text = problem(state)
    assert text.startswith("my.pth does not fit this network; the file looks like 'vits': ")
    assert "unexpected encoder.register_tokens" in text


def test_a_missing_key_is_named(vits: dict[str, Tensor]) -> None:
    state = to_upstream(vits)
    del state["pretrained.blocks.7.attn.qkv.bias"]
    text = problem(state)
    assert "looks like 'vits'" in text
    assert text.endswith(": missing encoder.blocks.7.attn.qkv.bias")


def test_a_wrong_shape_is_named(vits: dict[str, Tensor]) -> None:
    state = {**to_upstream(vits), "pretrained.norm.weight": torch.ones(7)}
    assert problem(state).endswith(": encoder.norm.weight is (7,), expected (384,)")


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda t: t.to_sparse(), "pretrained.norm.weight is torch.float32, torch.sparse_coo; exp"),
        (lambda t: t.to("meta"), "pretrained.norm.weight is torch.float32, .* meta device; exp"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "weight is torch.qint8, "),
        (lambda t: t.bool(), "weight is torch.bool, torch.strided; expected dense floating-point"),
        (lambda t: t.to(torch.int32), "weight is torch.int32, "),
        (lambda t: t.to(torch.complex64), "weight is torch.complex64, "),
    ],
    ids=["sparse", "meta", "quantised", "bool", "int", "complex"],
)
def test_other_tensors_than_dense_floats_are_named(
    vits: dict[str, Tensor], damage: Callable[[Tensor], Tensor], text: str
) -> None:
    state = to_upstream(vits)
    state["pretrained.norm.weight"] = damage(state["pretrained.norm.weight"])
    assert re.search(text, problem(state))


def test_another_size_is_recognised(vits: dict[str, Tensor]) -> None:
    text = problem(to_upstream(vits), "demo")
    assert "the file looks like 'vits'" in text
    assert "unexpected encoder.blocks.11." in text or " more" in text
    assert text.count(", encoder.") < 10  # a few are named, the rest are counted
    assert "and " in text


def test_another_position_embedding_is_named_without_a_guess(vits: dict[str, Tensor]) -> None:
    text = problem({**vits, "encoder.position.pos_embed": torch.zeros(1, 257, 384)})
    assert "looks like" not in text
    assert "encoder.position.pos_embed is (1, 257, 384), expected (1, 1370, 384)" in text


@pytest.mark.parametrize(
    "state", [{}, {"model.layer.weight": torch.zeros(1)}], ids=["empty", "alien"]
)
def test_other_checkpoints_are_refused(state: dict[str, Tensor]) -> None:
    with pytest.raises(
        CheckpointError, match="not a Depth Anything checkpoint.*expected pretrained"
    ):
        to_ours(state)


def test_an_encoder_alone_is_refused(vits: dict[str, Tensor]) -> None:
    backbone = {k: v for k, v in to_upstream(vits).items() if k.startswith("pretrained.")}
    with pytest.raises(CheckpointError, match="keys start with pretrained; expected"):
        to_ours(backbone)
