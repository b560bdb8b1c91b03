"""The bundled demo weights: they load, fit their row, and know more than "lower is nearer"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoints.demo import evaluate
from checkpoints.demo.losses import gradient_loss, normalise, total_loss
from checkpoints.demo.scenes.render import render
from checkpoints.demo.trainee import Trainee, save_fp16
from depth.errors import CheckpointError
from depth.weights.checkpoint import read_checkpoint
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.layouts import load_weights
from tests.support.models import untrained

MOST_BYTES = 12_000_000


def test_file_is_small_and_fits_only_its_size() -> None:
    assert evaluate.WEIGHTS.stat().st_size < MOST_BYTES
    state = read_checkpoint(evaluate.WEIGHTS).state
    assert all(torch.isfinite(tensor).all() for tensor in state.values())
    with pytest.raises(CheckpointError, match="looks like 'demo'"):
        load_weights(untrained(CONFIGS["vits"]), state, "demo.safetensors")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing.safetensors"):
        evaluate.load(tmp_path / "nothing.safetensors")


def test_training_saves_the_networks_parameter_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trainee = Trainee()
    images = torch.rand(1, 3, 56, 70)
    raw = trainee(images, stride=2)
    assert raw.shape == (1, 28, 35)
    raw.sum().backward()
    assert not [name for name, weight in trainee.named_parameters() if weight.grad is None]
    save_fp16(trainee, tmp_path / "demo.safetensors")
    network = evaluate.load(tmp_path / "demo.safetensors")
    with torch.no_grad():
        expected = trainee(images).relu()
        torch.testing.assert_close(network(images), expected, rtol=0.02, atol=0.01)


@pytest.mark.long
def test_knows_more_than_the_vertical_gradient() -> None:
    """The mean error over a few scenes of every kind; the card has the figures for 500."""
    network = evaluate.load()
    scores = [evaluate.score_scene(network, scene) for scene in evaluate.held_out(36)]
    model, gradient, constant = (np.mean([each[i].abs_rel for each in scores]) for i in range(3))
    assert model < 0.75 * min(gradient, constant)
    model, gradient, constant = (np.mean([each[i].delta1 for each in scores]) for i in range(3))
    assert model > 0.1 + max(gradient, constant)


def test_score_of_the_truth_is_perfect_and_of_a_constant_is_not() -> None:
    true = render(1, "room", (48, 64)).inverse_depth
    assert evaluate.score(3 * true + 1, true).delta1 == 1
    assert evaluate.score(3 * true + 1, true).abs_rel < 1e-5
    assert evaluate.score(np.ones_like(true), true).delta1 < 0.9


def test_loss_is_zero_for_the_truth_in_any_unit_and_punishes_errors() -> None:
    true = torch.from_numpy(render(1, "room", (48, 64)).inverse_depth)[None]
    share = true / true.mean()
    assert total_loss(share, true) < 1e-3
    assert total_loss(share, 7 * true) < 1e-3
    assert total_loss(2 - share, true) > 1


def test_invariant_term_ignores_scale_and_shift() -> None:
    true = torch.from_numpy(render(1, "room", (48, 64)).inverse_depth)[None]
    torch.testing.assert_close(normalise(200 * true + 3), normalise(100 * true), rtol=0, atol=2e-3)
    assert normalise(100 * true).abs().mean() == pytest.approx(1, abs=1e-3)
    assert gradient_loss(torch.zeros(1, 16, 16)) == 0
