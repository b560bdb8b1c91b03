"""Alignment of neighbours, on a rendered pan with known depth: less flicker, the same error."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from depth.errors import FitError
from depth.family import METRES, RELATIVE_DEPTH, RELATIVE_INVERSE
from depth.fitting.robust import SCALE, SCALE_SHIFT, ScaleShift
from depth.sequences import neighbours
from depth.sequences.anchor import Anchor, Anchoring
from depth.sequences.following import ALIGNMENTS, NEIGHBOURS, NONE, Following, Look, Placed, moved
from depth.sequences.motion import Motion
from depth.sequences.ranges import FRAME, SEQUENCE, STREAMING
from tests.support.pan import Shot, abs_rel, guessed
from tests.support.sequences import pan

COUNT = 24


@lru_cache(maxsize=4)
def shots(count: int = COUNT, cut: int = 0) -> list[Shot]:
    return pan(count, cut)


def guesses(count: int = COUNT, cut: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [guessed(each.inverse, rng) for each in shots(count, cut)]


def followed(
    values: list[np.ndarray],
    align: str,
    kind: str = RELATIVE_INVERSE,
    ranges: str = SEQUENCE,
    cut: int = 0,
) -> tuple[Following, list[Placed]]:
    following = Following(kind, align, ranges)
    pictures = [each.rgb[:, :, ::-1] for each in shots(len(values), cut)]
    return following, [following.place(Look.of(p, v)) for p, v in zip(pictures, values)]


def is_steady(following: Following) -> bool:
    """The promise: at most half of the flicker."""
    before, after = following.before.figure, following.after.figure
    assert before is not None
    assert after is not None
    return after <= 0.5 * before


def gauges(placed: list[Placed], values: list[np.ndarray]) -> np.ndarray:
    """[N,2] scale and shift of the written values against the truth, which no flow has part in."""
    return np.array(
        [
            np.polyfit(each.inverse.ravel(), moved(found, place.move).ravel(), 1)
            for each, found, place in zip(shots(len(values)), values, placed)
        ]
    )


def test_alignment_halves_the_flicker_of_a_pan_and_none_does_not() -> None:
    found = {align: followed(guesses(), align) for align in ALIGNMENTS}
    assert is_steady(found[NEIGHBOURS][0])
    assert not is_steady(found[NONE][0])
    steps = {
        a: np.abs(np.diff(gauges(placed, guesses()), axis=0)) for a, (_, placed) in found.items()
    }
    assert (steps[NEIGHBOURS].mean(axis=0) < 0.02 * steps[NONE].mean(axis=0)).all()


def test_the_error_of_each_frame_stays() -> None:
    _, placed = followed(guesses(), NEIGHBOURS)
    for each, values, place in zip(shots(), guesses(), placed):
        before, after = (abs_rel(v, each.inverse) for v in (values, moved(values, place.move)))
        assert after == pytest.approx(before, rel=0.02)


def test_one_scale_and_shift_fits_all_frames() -> None:
    truth = np.stack([each.inverse for each in shots()])
    error = {}
    for align in ALIGNMENTS:
        _, placed = followed(guesses(), align)
        written = [moved(values, place.move) for values, place in zip(guesses(), placed)]
        error[align] = abs_rel(np.stack(written), truth)
    assert error[NEIGHBOURS] < 0.02 < 0.2 < error[NONE]


def test_a_cut_begins_alignment_and_streaming_range_anew() -> None:
    values = guesses(COUNT, cut=12)
    values[12:] = [10 * each + 50 for each in values[12:]]
    _, placed = followed(values, NEIGHBOURS, ranges=STREAMING, cut=12)
    assert [number for number, each in enumerate(placed) if each.begins] == [0, 12]
    assert placed[12].move == neighbours.UNMOVED
    assert placed[12].flicker is None
    assert placed[11].span is not None
    assert placed[12].span is not None
    assert placed[11].span[1] < 10 < 50 < placed[12].span[0]
    # The same frames as one shot: everything is moved to the first scene.
    _, whole = followed(values, NEIGHBOURS, ranges=STREAMING)
    assert not whole[12].begins
    assert whole[12].span is not None
    assert whole[12].span[1] < 50


@pytest.mark.parametrize("kind", [RELATIVE_DEPTH, METRES])
def test_depth_gets_a_scale_and_no_shift(kind: str) -> None:
    rng = np.random.default_rng(2)
    scales = rng.uniform(0.8, 1.25, COUNT)
    values = [(s * each.depth).astype(np.float32) for s, each in zip(scales, shots())]
    following, placed = followed(values, NEIGHBOURS, kind)
    assert is_steady(following)
    assert all(each.move.shift == 0 for each in placed)
    gauge = np.array([each.move.scale for each in placed]) * scales
    assert np.ptp(gauge) < 0.05 * scales[0] < np.ptp(scales)


def test_streaming_and_own_ranges() -> None:
    for ranges in (STREAMING, FRAME):
        _, placed = followed(guesses(), NEIGHBOURS, ranges=ranges)
        spans = np.array([each.span for each in placed])
        assert (spans[:, 0] < spans[:, 1]).all()
    following, placed = followed(guesses(), NEIGHBOURS)
    assert all(each.span is None for each in placed)
    low, high = following.span or (0, 0)
    for values, place in zip(guesses(), placed):
        written = moved(values, place.move)
        assert low - 1e-5 <= written.min()
        assert written.max() <= high + 1e-5


def test_frames_that_do_not_agree_keep_middle_and_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise FitError("nothing agrees")

    monkeypatch.setattr(neighbours, "fit", refuses)
    values = guesses()[:3]
    _, placed = followed(values, NEIGHBOURS)
    assert [each.fitted for each in placed] == [True, False, False]
    middles = [np.median(moved(v, each.move)) for v, each in zip(values, placed)]
    assert np.ptp(middles) < 0.05 * np.ptp([np.median(v) for v in values])


@pytest.mark.parametrize("by", [SCALE, SCALE_SHIFT])
def test_an_anchor_ends_the_drift_of_small_errors(by: str) -> None:
    """Each fit is 0.3 % too small; after 1000 frames nothing is left without an anchor."""
    rng = np.random.default_rng(0)
    plain = rng.uniform(1, 2, (8, 8)).astype(np.float32)
    scales = {}
    for pull in (0.0, Anchoring().pull):
        anchor, scale = Anchor(by, Anchoring(pull=pull)), 1.0
        for _ in range(1000):
            scale = anchor.pulled(plain, ScaleShift(scale * 0.997)).scale
        scales[pull] = scale
    assert scales[0.0] < 0.06
    assert scales[Anchoring().pull] > 0.5


def test_one_depth_everywhere_is_placed() -> None:
    flat = [np.full((96, 128), 3, np.float32)] * 3
    following, placed = followed(flat, NEIGHBOURS)
    assert [each.move for each in placed] == [neighbours.UNMOVED] * 3
    assert following.after.figure is None


def test_a_sky_that_the_network_cuts_to_0_does_not_hide_the_scale() -> None:
    rows, columns = np.mgrid[:60, :80].astype(np.float32)
    noise = np.random.default_rng(0).random((2, 60, 80)).astype(np.float32) / 50
    ground = np.maximum(0, rows - 36)  # sky is 62 % of it
    still = Motion(columns, rows, np.ones(ground.shape, np.bool_))
    following = neighbours.Neighbours(RELATIVE_INVERSE)
    following.aligned(ground * (1 + noise[0]), None)
    found = following.aligned(2 * ground * (1 + noise[1]), still)
    assert found.fitted
    assert found.move.scale == pytest.approx(0.5, abs=0.005)
