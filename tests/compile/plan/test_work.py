"""What an image asks of a chip: the counts against figures that were worked out by hand."""

from __future__ import annotations

import pytest

from compile.lowering.passes import PASSES
from compile.plan.plan import ATTENTION_BLOCKS
from compile.plan.work import Work, work_of
from compile.products import KINDS
from depth.errors import InputError
from depth.family import model_named
from tests.support.models import TINY, TINY_MODEL, untrained

VITS = model_named("vits")


def test_vits_at_518_has_the_published_figures() -> None:
    encoder, decoder = work_of(VITS, (518, 518))
    whole = encoder + decoder
    gmac = {kind: count / 1e9 for kind, count in whole.macs.items()}
    assert set(gmac) == set(KINDS)
    assert gmac == pytest.approx(
        {"linear": 29.4, "attention": 17.3, "conv": 10.9, "resize": 5.4}, abs=0.06
    )
    assert whole.scores == 6 * 1370**2
    assert whole.layers == 12
    assert whole.input_bytes == 4 * 3 * 518 * 518


def test_the_decoder_alone_takes_four_token_maps_from_the_host() -> None:
    _, alone = work_of(VITS, (518, 518))
    assert alone.input_bytes == 4 * 37 * 37 * 4 * 384
    assert (alone.scores, alone.layers) == (0, 0)


def test_weights_are_those_of_the_lowered_network() -> None:
    network = untrained(TINY)
    # The position embedding of this size is on the device, not the checkpoint's of 37x37.
    held = sum(p.numel() for p in network.parameters()) - (37 * 37 + 2) * 24 + (4 * 5 + 1) * 24
    found = sum(work.weights for work in work_of(TINY_MODEL, (56, 70)))
    layer_scale = 4 * 2 * 24
    resizes = sum(
        after * before
        for h, w in [(4, 5)]
        for before, after in [
            *((k * n, 2 * k * n) for n in (h, w) for k in (1, 2, 4)),
            *(((n + 1) // 2, n) for n in (h, w)),
            *((8 * n, 14 * n) for n in (h, w)),
        ]
    )
    assert found == held - layer_scale + resizes


def test_a_product_has_its_sums_and_outputs() -> None:
    encoder, decoder = work_of(VITS, (518, 518))
    shapes = {(p.kind, p.depth, p.width) for p in (*encoder.products, *decoder.products)}
    assert {
        ("linear", 3 * 14 * 14, 384),
        ("linear", 384, 3 * 384),
        ("attention", 64, 1370),
        ("attention", 1370, 64),
        ("conv", 48, 64),
        ("conv", 32, 1),
    } <= shapes


def test_plan_refuses_a_size_that_no_network_has() -> None:
    with pytest.raises(InputError, match="height 500 px: must be a multiple of 14"):
        work_of(VITS, (500, 518))


def test_programs_in_a_row_hand_on_what_stays_on_the_device() -> None:
    first, second = Work((), 5, 100.0, scores=7, layers=2), Work((), 6, 50.0)
    assert first + second == Work((), 11, 100.0, scores=7, layers=2, all_scores=14)


def test_blocks_are_those_of_the_lowering() -> None:
    assert {*map(str, ATTENTION_BLOCKS[1:]), "fit"} == set(PASSES["attention_blocks"].variants)
