"""What an image asks of a chip: the formulas against a count on the network itself."""

from __future__ import annotations

import pytest
import torch

from compile.lowering.passes import PASSES, lower
from compile.macs import KINDS, count_macs
from compile.plan import work
from compile.plan.plan import ATTENTION_BLOCKS
from compile.plan.work import decoder_work, encoder_work
from compile.targets.table import NEURON_PASSES
from depth_anything_v2.config import CONFIGS, ModelConfig
from tests.models import TINY, TINY_GIANT, untrained

# Odd grids too: the coarsest stage rounds up.
CASES = [
    (CONFIGS["demo"], (56, 70)),
    (CONFIGS["demo"], (98, 42)),
    (TINY, (70, 56)),
    (TINY_GIANT, (28, 42)),
]


@pytest.mark.parametrize(("config", "size"), CASES, ids=str)
def test_macs_are_those_of_the_lowered_network(config: ModelConfig, size: tuple[int, int]) -> None:
    network = untrained(config)
    network.fix_size(*size)
    counted = count_macs(lower(network, NEURON_PASSES), torch.zeros(1, 3, *size))
    found = (encoder_work(config, size) + decoder_work(config, size)).macs
    assert set(found) == set(counted) == set(KINDS)
    assert found == pytest.approx(counted, rel=0.01)


@pytest.mark.parametrize(("config", "size"), CASES[:1], ids=str)
def test_weights_are_those_of_the_network(config: ModelConfig, size: tuple[int, int]) -> None:
    network = untrained(config)
    network.fix_size(*size)
    # The position embedding of this size is on the device, not the checkpoint's of 37x37.
    held = sum(p.numel() for p in network.parameters()) - network.encoder.pos_embed.numel()
    held += network.encoder.position.numel()
    found = encoder_work(config, size).weights + decoder_work(config, size).weights
    assert found == pytest.approx(held, rel=0.01)


def test_vits_at_518_has_the_published_figures() -> None:
    config, size = CONFIGS["vits"], (518, 518)
    whole = encoder_work(config, size) + decoder_work(config, size)
    gmac = {kind: count / 1e9 for kind, count in whole.macs.items()}
    assert gmac == pytest.approx(
        {"linear": 29.4, "attention": 17.3, "conv": 10.9, "resize": 5.4}, abs=0.06
    )
    assert whole.scores == 6 * 1370**2
    assert whole.layers == 12
    assert whole.input_bytes == 4 * 3 * 518 * 518


def test_the_decoder_alone_is_given_four_token_maps_by_the_host() -> None:
    alone = decoder_work(CONFIGS["vits"], (518, 518))
    assert alone.input_bytes == 4 * 37 * 37 * 4 * 384
    assert alone.scores == 0


def test_kinds_and_blocks_are_those_of_the_lowering() -> None:
    assert (work.LINEAR, work.ATTENTION, work.CONV, work.RESIZE) == KINDS
    assert set(map(str, ATTENTION_BLOCKS[1:])) == set(PASSES["attention_blocks"].forms)
