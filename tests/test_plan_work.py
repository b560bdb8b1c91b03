"""What an image asks of a chip, counted on the network that the Neuron targets run."""

from __future__ import annotations

import pytest

from compile.lowering.passes import PASSES
from compile.macs import KINDS
from compile.plan.plan import ATTENTION_BLOCKS
from compile.plan.work import work_of
from depth.errors import InputError
from depth.family import model_named

VITS = model_named("vits")


def test_vits_at_518_has_the_published_figures() -> None:
    (whole,) = work_of(VITS, (518, 518), split=False)
    gmac = {kind: count / 1e9 for kind, count in whole.macs.items()}
    assert set(gmac) == set(KINDS)
    assert gmac == pytest.approx(
        {"linear": 29.4, "attention": 17.3, "conv": 10.9, "resize": 5.4}, abs=0.06
    )
    assert whole.scores == 6 * 1370**2
    assert whole.layers == 12
    assert whole.input_bytes == 4 * 3 * 518 * 518
    # Its own 24.8 million, less the checkpoint's grid, which is a constant of this size.
    assert whole.weights == pytest.approx(24.7e6, rel=0.01)


def test_stages_share_the_work_and_the_decoder_is_given_its_token_maps_by_the_host() -> None:
    (whole,) = work_of(VITS, (518, 518), split=False)
    encoder, decoder = work_of(VITS, (518, 518), split=True)
    assert decoder.input_bytes == 4 * 37 * 37 * 4 * 384
    assert (decoder.scores, decoder.layers) == (0, 0)
    assert (encoder.scores, encoder.layers) == (whole.scores, whole.layers)
    assert sum(encoder.macs.values()) + sum(decoder.macs.values()) == sum(whole.macs.values())
    assert encoder.weights + decoder.weights == pytest.approx(whole.weights, rel=0.001)


@pytest.mark.parametrize(
    ("name", "params"), [("vitb", 97.2e6), ("vitg", 1.26e9), ("da3metric-large", 334e6)]
)
def test_any_model_of_any_family_is_counted_without_its_weights(name: str, params: float) -> None:
    model = model_named(name)
    (whole,) = work_of(model, (252, 336), split=False)
    assert whole.weights == pytest.approx(params, rel=0.02)


def test_a_size_that_the_network_cannot_have_is_refused() -> None:
    with pytest.raises(InputError, match="must be a multiple of 14"):
        work_of(VITS, (500, 518), split=False)


def test_blocks_are_those_of_the_lowering() -> None:
    assert set(map(str, ATTENTION_BLOCKS[1:])) == set(PASSES["attention_blocks"].forms)
