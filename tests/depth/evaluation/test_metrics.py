"""Every figure under every alignment, against formulas written anew for the test."""

from __future__ import annotations

import math

import numpy as np
import pytest

from checkpoints.demo.evaluate import FARTHEST_M, held_out, score
from depth.errors import InputError
from depth.evaluation.alignment import ALIGNMENTS, INVERSE, check_kind, least_squares, move_for
from depth.evaluation.crops import CROPS, inside
from depth.evaluation.files import Prediction
from depth.evaluation.metrics import METRICS, Doubles, measured
from depth.evaluation.run import Protocol, measure
from depth.family import METRES, RELATIVE_DEPTH, RELATIVE_INVERSE

LEAST, MOST = 0.5, 40.0


def by_hand(p: Doubles, t: Doubles) -> dict[str, float]:
    """The figures, pixel by pixel."""
    pairs = list(zip(p.tolist(), t.tolist()))
    count = len(pairs)
    logs = [math.log(a) - math.log(b) for a, b in pairs]
    ratios = [max(a / b, b / a) for a, b in pairs]
    mean_log = sum(logs) / count
    return {
        "abs_rel": sum(abs(a - b) / b for a, b in pairs) / count,
        "sq_rel": sum((a - b) ** 2 / b for a, b in pairs) / count,
        "rmse": math.sqrt(sum((a - b) ** 2 for a, b in pairs) / count),
        "rmse_log": math.sqrt(sum(d * d for d in logs) / count),
        "log10": sum(abs(math.log10(a) - math.log10(b)) for a, b in pairs) / count,
        "silog": 100 * math.sqrt(sum(d * d for d in logs) / count - mean_log**2),
        **{f"delta{n}": sum(r < 1.25**n for r in ratios) / count for n in (1, 2, 3)},
    }


def aligned_by_hand(align: str, values: Doubles, t: Doubles, inverse: bool) -> Doubles:
    """Aligned depth of predicted values, within LEAST and MOST."""
    if align == INVERSE:
        x = values if inverse else 1 / values
        solved = np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1), 1 / t, rcond=None)[0]
        found = solved[0] * x + solved[1]
        found = np.where(found < 1 / MOST, 1 / MOST, found)
        return np.maximum(1 / found, LEAST)
    factors = {
        "none": 1.0,
        "median": sorted(t)[len(t) // 2] / sorted(values)[len(t) // 2],  # of an odd number
        "scale": float((values * t).sum() / (values**2).sum()),
    }
    if align in factors:
        return np.clip(values * factors[align], LEAST, MOST)
    solved = np.linalg.lstsq(np.stack([values, np.ones_like(values)], 1), t, rcond=None)[0]
    return np.clip(solved[0] * values + solved[1], LEAST, MOST)


@pytest.mark.parametrize("align", ALIGNMENTS)
def test_fifty_random_pairs(align: str) -> None:
    rng = np.random.default_rng(ALIGNMENTS.index(align))
    for number in range(50):
        truth = rng.uniform(0.0, 45.0, (9, 11))
        truth[rng.random(truth.shape) < 0.2] = 0.0
        inverse = align == INVERSE and number % 2 == 0
        values = np.clip(truth * rng.uniform(0.6, 1.5, truth.shape), 0.3, None)
        if inverse:
            values = 3 / values + rng.uniform(0.1, 2)
        valid = (truth >= LEAST) & (truth <= MOST)
        if valid.sum() % 2 == 0:  # the median by hand is of an odd number
            first = tuple(np.argwhere(valid)[0])
            truth[first], valid[first] = 0.0, False
        kind = RELATIVE_INVERSE if inverse else METRES
        protocol = Protocol(align, LEAST, MOST)
        pixels, figures, _ = measure(Prediction(values, kind), truth, protocol)
        expected = by_hand(
            aligned_by_hand(align, values[valid], truth[valid], inverse), truth[valid]
        )
        assert pixels == valid.sum()
        assert figures.keys() == expected.keys() == METRICS.keys()
        for name, figure in figures.items():
            assert figure == pytest.approx(expected[name], rel=1e-6, abs=1e-9), name


def test_two_by_two_on_paper() -> None:
    truth = np.array([[1.0, 2.0], [4.0, 0.0]])  # the last was not measured
    values = np.array([[1.0, 3.0], [2.0, 99.0]])
    pixels, figures, _ = measure(Prediction(values, METRES), truth, Protocol())
    assert pixels == 3
    assert figures["abs_rel"] == pytest.approx((0 + 1 / 2 + 2 / 4) / 3)
    assert figures["sq_rel"] == pytest.approx((0 + 1 / 2 + 4 / 4) / 3)
    assert figures["rmse"] == pytest.approx(math.sqrt(5 / 3))
    logs = [0.0, math.log(1.5), math.log(0.5)]
    assert figures["rmse_log"] == pytest.approx(math.sqrt(sum(d * d for d in logs) / 3))
    assert figures["log10"] == pytest.approx((math.log10(1.5) + math.log10(2)) / 3)
    assert figures["silog"] == pytest.approx(100 * np.std(logs))
    assert [figures[f"delta{n}"] for n in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])


def test_the_figures_of_the_bundled_model_are_measured_alike() -> None:
    """checkpoints/demo has its own code for delta1 and AbsRel."""
    (scene,) = held_out(1)
    noise = np.random.default_rng(0).normal(0, 0.05, scene.inverse_depth.shape)
    predicted = (0.4 * scene.inverse_depth + 3 + noise).astype(np.float32)
    truth = np.where(scene.inverse_depth > 0, 1 / np.maximum(scene.inverse_depth, 1e-9), 0.0)
    expected = score(predicted, scene.inverse_depth)
    _, figures, _ = measure(
        Prediction(predicted.astype(np.float64), RELATIVE_INVERSE),
        truth,
        Protocol(INVERSE, most_m=FARTHEST_M),
    )
    assert 0.05 < expected.abs_rel < 2
    assert figures["delta1"] == pytest.approx(expected.delta1, abs=1e-5)
    assert figures["abs_rel"] == pytest.approx(expected.abs_rel, rel=1e-5)


def test_a_factor_changes_the_error_and_not_silog() -> None:
    rng = np.random.default_rng(0)
    t = rng.uniform(1, 10, 100)
    p = t * rng.uniform(0.9, 1.1, 100)
    assert measured(2 * p, t)["silog"] == pytest.approx(measured(p, t)["silog"])
    assert measured(2 * p, t)["abs_rel"] > 5 * measured(p, t)["abs_rel"]


def test_the_limits_leave_truth_out_and_move_the_prediction() -> None:
    truth = np.array([[0.2, 1.0, 5.0, 50.0]])
    values = np.array([[9.0, 0.1, 90.0, 9.0]])
    pixels, figures, _ = measure(Prediction(values, METRES), truth, Protocol("none", 0.5, 10.0))
    assert pixels == 2
    assert figures["abs_rel"] == pytest.approx((abs(0.5 - 1) / 1 + abs(10 - 5) / 5) / 2)


def test_aligned_inverse_depth_below_zero_is_at_the_far_end() -> None:
    truth = np.full((1, 5), 10.0)
    truth[0, :2] = 1.0, 2.0
    values = np.array([[1.0, 0.5, 0.1, 0.1, -9.0]])
    _, figures, move = measure(
        Prediction(values, RELATIVE_INVERSE), truth, Protocol(INVERSE, 0.001, 20.0)
    )
    assert move.scale * -9.0 + move.shift < 1 / 20
    assert figures["rmse"] <= 10.0


def test_a_perfect_relative_prediction_has_no_error_once_aligned() -> None:
    truth = np.random.default_rng(1).uniform(1, 9, (6, 7))
    values = 4 / truth + 2.5
    _, figures, move = measure(
        Prediction(values, RELATIVE_INVERSE), truth, Protocol(INVERSE, most_m=10)
    )
    assert (move.scale, move.shift) == pytest.approx((0.25, -0.625))
    assert figures["abs_rel"] == pytest.approx(0, abs=1e-12)
    assert figures["delta1"] == 1.0


def plane(height: int, width: int) -> Doubles:
    """Depth that rises from corner to corner, the same at every size once corners are aligned."""
    down, across = np.linspace(1, 2, height), np.linspace(1, 3, width)
    found: Doubles = down[:, None] + across
    return found


@pytest.mark.parametrize("size", [(4, 6), (2, 3), (12, 18)])
def test_another_size_is_resized_to_the_truth(size: tuple[int, int]) -> None:
    _, figures, _ = measure(Prediction(plane(*size), METRES), plane(4, 6), Protocol())
    assert figures["abs_rel"] < 1e-6


def test_another_aspect_ratio_is_refused() -> None:
    with pytest.raises(InputError, match="3x5 px and the truth 4x6, of another aspect ratio"):
        measure(Prediction(plane(3, 5), METRES), plane(4, 6), Protocol())


def test_an_image_without_a_valid_pixel_is_refused() -> None:
    with pytest.raises(InputError, match="no valid pixel"):
        measure(Prediction(np.ones((2, 2)), METRES), np.zeros((2, 2)), Protocol())
    with pytest.raises(InputError, match="no valid pixel"):
        measure(Prediction(np.ones((2, 2)), METRES), np.full((2, 2), 9.0), Protocol(most_m=8))


@pytest.mark.filterwarnings("error")
def test_numbers_that_are_too_large_have_no_figures() -> None:
    huge = np.full((2, 2), 1e300)
    with pytest.raises(InputError, match="too large for figures: leave them out with --max-depth"):
        measure(Prediction(np.ones((2, 2)), METRES), huge, Protocol())
    with pytest.raises(InputError, match="too large for figures"):
        measure(Prediction(huge, METRES), np.ones((2, 2)), Protocol())
    pixels, figures, _ = measure(Prediction(huge, METRES), np.ones((3, 3)), Protocol(most_m=10))
    assert (pixels, figures["abs_rel"]) == (9, 9.0)


def test_values_that_settle_no_move_are_refused() -> None:
    t = np.array([1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="all predicted values are equal"):
        least_squares(np.ones(3), t)
    for align in ("median", "scale"):
        with pytest.raises(InputError, match="no scale follows"):
            move_for(align, np.zeros(3), t)
    with pytest.raises(InputError, match="2 predicted depths are 0 or less: no inverse"):
        measure(
            Prediction(np.array([[1.0, 0.0, -1.0]]), RELATIVE_DEPTH),
            np.ones((1, 3)),
            Protocol(INVERSE, most_m=10),
        )


@pytest.mark.parametrize(
    ("kind", "align", "text"),
    [
        (RELATIVE_INVERSE, "none", "give --align inverse-scale-shift"),
        (RELATIVE_INVERSE, "median", "whose scale and shift are unknown"),
        (RELATIVE_INVERSE, "scale-shift", "give --align inverse-scale-shift"),
        (RELATIVE_DEPTH, "none", "not metres: give --align scale"),
        (METRES, "scales", "choose from none, median"),
    ],
)
def test_a_kind_is_refused_under_an_alignment_that_is_not_made_for_it(
    kind: str, align: str, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        check_kind(kind, align)
    check_kind(kind, INVERSE)
    check_kind(METRES, "none")


def test_protocols_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match=r"--max-depth 0: expected 0 < min < max"):
        Protocol(most_m=0)
    with pytest.raises(InputError, match="needs --max-depth, such as 10 for NYU"):
        Protocol(INVERSE)
    for least, most in ((0.0, 1.0), (2.0, 1.0), (-1.0, None)):
        with pytest.raises(InputError, match="expected 0 < min < max"):
            Protocol("none", least, most)


def test_crops_are_those_of_the_papers() -> None:
    corners = {}
    for crop, size in (("none", (4, 5)), ("nyu", (480, 640))):
        found = np.argwhere(inside(crop, size))
        corners[crop] = (*found.min(0).tolist(), *found.max(0).tolist())
    for crop in ("eigen", "garg"):
        found = np.argwhere(inside(crop, (375, 1242)))
        corners[crop] = (*found.min(0).tolist(), *found.max(0).tolist())
    assert corners["none"] == (0, 0, 3, 4)
    assert corners["nyu"] == (45, 41, 470, 600)
    assert corners["garg"] == (153, 44, 370, 1196)
    assert corners["eigen"] == (124, 44, 341, 1196)
    assert set(corners) == set(CROPS)
    with pytest.raises(InputError, match="nyu is of 480x640 px; the truth has 375x1242"):
        inside("nyu", (375, 1242))
    with pytest.raises(InputError, match="choose from none, eigen"):
        inside("eigne", (2, 2))
