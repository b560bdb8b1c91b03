"""Weights of `DPTForDepthEstimation` load and give its numbers.

At the native square only: their networks fail at any other size.
"""

from __future__ import annotations

import pytest
import torch

from compile.shapes_only import build_without_values
from depth.family import build, load_weights, model_named
from midas.config import CONFIGS
from midas.layouts import to_ours
from tests.support.midas import TINY_DPT
from tests.support.transformers_dpt import their_dpt, their_facts

transformers = pytest.importorskip("transformers", reason="transformers is not in this environment")
EXACT = 2e-6  # of the largest depth


def difference(name: str, layer_norm_eps: float) -> float:
    model = TINY_DPT[name]
    theirs = their_dpt(model.config, layer_norm_eps)
    ours = build(model).eval()
    load_weights(ours, theirs.state_dict(), "transformers")
    side_px = 16 * model.config.native_grid
    images = torch.randn(2, 3, side_px, side_px)
    with torch.no_grad():
        expected, found = theirs(images).predicted_depth, ours(images)
    assert expected.max() - expected.min() > 0.1 * expected.max()
    return float((found - expected).abs().max() / expected.max())


@pytest.mark.parametrize("name", list(TINY_DPT))
def test_their_numbers(name: str) -> None:
    assert difference(name, 1e-6) <= EXACT


def test_the_default_of_their_configuration_is_another_network() -> None:
    """LayerNorm eps 1e-12: ours is the 1e-6 that the published networks were trained with."""
    assert difference("tiny-large", 1e-12) > 5 * EXACT


@pytest.mark.parametrize(("name", "count"), [("dpt-large", 462), ("dpt-hybrid", 414)])
def test_every_key_is_accounted_for(name: str, count: int) -> None:
    with torch.device("meta"):
        theirs = transformers.DPTForDepthEstimation(their_facts(CONFIGS[name]))
    state = {key: torch.zeros(()).expand(value.shape) for key, value in theirs.state_dict().items()}
    assert len(state) == count
    ours = build_without_values(model_named(name)).state_dict()
    found = {key: tuple(value.shape) for key, value in to_ours(state).items()}
    assert found == {key: tuple(value.shape) for key, value in ours.items()}
