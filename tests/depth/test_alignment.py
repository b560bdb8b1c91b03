"""Given cameras are moved onto predicted cameras, also where their centres settle no rotation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from depth.steps.alignment import Rounds, Similarity, aligned, moved

Doubles = npt.NDArray[np.float64]

SCALE, SHIFT = 2.5, np.array([3.0, -1.0, 0.5])


def rotations(count: int, seed: int = 0) -> Doubles:
    found = np.linalg.qr(np.random.default_rng(seed).standard_normal((count, 3, 3)))[0]
    return found * np.linalg.det(found)[:, None, None]


def extrinsics(turns: Doubles, centres: Doubles) -> npt.NDArray[np.float32]:
    """World to camera, of cameras with these rotations and centres in the world."""
    back = turns.transpose(0, 2, 1)
    return np.concatenate((back, -back @ centres[:, :, None]), axis=2).astype(np.float32)


def both(centres: Doubles, scale: float = SCALE) -> tuple[npt.NDArray[np.float32], ...]:
    """Predicted and given cameras: the same but for a similarity transform."""
    turns, turn = rotations(len(centres)), rotations(1, 9)[0]
    there = scale * centres @ turn.T + SHIFT
    return extrinsics(turn @ turns, there), extrinsics(turns, centres)


def cloud(count: int) -> Doubles:
    return np.random.default_rng(5).standard_normal((count, 3))


LINE = np.outer(np.array([0.0, 1.0, 2.0, 4.0]), [1.0, 2.0, -0.5]) + 1.0


@pytest.mark.parametrize(
    "centres",
    [cloud(2), LINE[:3], LINE, cloud(3), cloud(9), cloud(12), np.vstack([LINE] * 3)],
    ids=["two", "three-on-a-line", "line", "three", "nine", "twelve", "twelve-on-a-line"],
)
def test_the_same_cameras_come_back(centres: Doubles) -> None:
    predicted, given = both(centres)
    found = aligned(predicted, given)
    assert found.scale == pytest.approx(SCALE, rel=1e-5)
    assert np.abs(moved(found, given)[:, :3] - predicted).max() < 1e-4
    assert np.array_equal(moved(found, given)[:, 3], np.tile([0, 0, 0, 1], (len(centres), 1)))


def test_one_view_keeps_the_scale(caplog: pytest.LogCaptureFixture) -> None:
    predicted, given = both(cloud(1))
    found = aligned(predicted, given)
    assert found.scale == 1
    assert "all cameras are at one place" in caplog.text
    assert np.abs(moved(found, given)[:, :3] - predicted).max() < 1e-5


@pytest.mark.parametrize("still", [0, 1], ids=["predicted", "given"])
def test_cameras_at_one_place_keep_the_scale(still: int) -> None:
    cameras = list(both(cloud(4)))
    cameras[still] = extrinsics(rotations(4), np.tile([1e3, 2, 3], (4, 1)))
    found = aligned(cameras[0], cameras[1])
    assert found.scale == 1
    assert np.isfinite(moved(found, cameras[1])).all()


def test_views_that_do_not_fit_are_left_out_of_ten_and_more() -> None:
    predicted, given = both(cloud(12))
    given[3, :, 3] += 20
    alone, few = aligned(predicted, given), aligned(predicted, given, Rounds(from_views=13))
    assert alone.scale == pytest.approx(SCALE, rel=1e-4)
    assert abs(few.scale / SCALE - 1) > 0.1
    again = aligned(predicted, given)
    assert (again.scale, again.shift.tolist()) == (alone.scale, alone.shift.tolist())


def test_a_mirrored_world_is_not_turned_over() -> None:
    """The rotation stays one: its determinant is 1."""
    turns = rotations(6)
    there = extrinsics(turns, cloud(6) * [1, 1, -1])
    found = aligned(there, extrinsics(turns, cloud(6)))
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    assert 0 < found.scale < 1


def test_moving_turns_scales_and_shifts() -> None:
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    given = extrinsics(np.eye(3)[None], np.array([[1.0, 0, 0]]))
    placed = np.linalg.inv(moved(Similarity(quarter, SHIFT, 2.0), given))[0]
    assert np.allclose(placed[:3, 3], SHIFT + [0, 2, 0])
    assert np.allclose(placed[:3, :3], quarter)
