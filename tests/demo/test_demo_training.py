"""Training of the demo model: batches drawn ahead, one step, and going on after an interruption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoints.demo.batches import Batch, ahead, draw
from checkpoints.demo.pool import Pool
from checkpoints.demo.scenes.render import render
from checkpoints.demo.train import own_cache
from checkpoints.demo.training import (
    PHASES,
    Drawing,
    load_state,
    new_state,
    phase_at,
    save_state,
    train_step,
)

CPU = torch.device("cpu")
reads_states = pytest.mark.skipif(
    torch.__version__.startswith("1."),
    reason="torch 1.13 does not read a state back with weights_only; training takes a newer torch",
)


@pytest.fixture(scope="module")
def pool() -> Pool:
    scenes = [render(seed, "room", (98, 126)) for seed in range(2)]
    images = np.stack([scene.image for scene in scenes])
    inverse = np.stack([scene.inverse_depth for scene in scenes]).astype(np.float16)
    return _Small([images], [inverse])


class _Small(Pool):
    def __len__(self) -> int:
        return len(self.images[0])


def test_the_pool_is_below_the_user_s_own_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert own_cache() == tmp_path / ".cache/depth-anything-inferentia/demo-pool"


def crops(pool: Pool) -> Batch:
    return draw(pool, (56, 70), 2, np.random.default_rng(0))


def test_batches_drawn_ahead_are_those_of_their_steps_and_in_order(pool: Pool) -> None:
    drawing = Drawing(pool, seed=3, steps=20, times=1)
    for step, batch in zip(range(17, 20), ahead(drawing, range(17, 20), workers=2)):
        expected = drawing(step)
        assert torch.equal(batch.pixels, expected.pixels)
        assert torch.equal(batch.inverse, expected.inverse)
    assert not torch.equal(drawing(18).inverse, drawing(19).inverse)


def test_crops_per_step_are_a_multiple_of_the_phases_count(pool: Pool) -> None:
    assert phase_at(19, 20) is PHASES[2]
    assert len(Drawing(pool, 0, 20, times=2)(19).pixels) == 2 * PHASES[2].count


def test_crops_arrive_normalised(pool: Pool) -> None:
    batch = crops(pool)
    images, inverse = batch.on(CPU)
    assert images.shape == (2, 3, 56, 70)
    assert inverse.shape == (2, 56, 70)
    red = (batch.pixels[0, 5, 7, 2] / 255 - 0.485) / 0.229
    torch.testing.assert_close(images[0, 0, 5, 7], red)


@reads_states
def test_resumed_run_takes_the_step_that_an_uninterrupted_one_takes(
    pool: Pool, tmp_path: Path
) -> None:
    state = new_state(0, CPU)
    before = {name: each.clone() for name, each in state.trainee.state_dict().items()}
    assert torch.isfinite(train_step(state, crops(pool), steps=10))
    after = state.trainee.state_dict()
    assert any(not torch.equal(after[name], each) for name, each in before.items())
    save_state(state, tmp_path / "state.pt", steps=10)
    resumed = load_state(tmp_path / "state.pt", 0, 10, CPU)
    assert resumed.step == 1
    torch.testing.assert_close(
        train_step(resumed, crops(pool), 10), train_step(state, crops(pool), 10)
    )


@reads_states
def test_state_of_another_seed_is_not_taken(tmp_path: Path) -> None:
    save_state(new_state(0, CPU), tmp_path / "state.pt", steps=10)
    taken = load_state(tmp_path / "state.pt", 1, 10, CPU)
    assert taken.seed == 1
    assert taken.step == 0
