"""Instances by numbers of a network, against the same rules written as plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from depth.artifact.steps import DecodeYolov8Seg, Letterbox, Normalise
from depth.errors import InputError
from depth.steps.instances import (
    Instance,
    cells_of,
    class_indices,
    instances_in,
    region_of,
)
from depth.steps.letterbox import letterboxed, placed

STEP = DecodeYolov8Seg(("person", "car"), (), "output0", "output1")
NETWORK = (64, 96)
PLAIN = Normalise((0, 0, 0), (1, 1, 1))


def column(box: Any, scores: Any, coefficients: Any = (1.0, 0.0, 0.0)) -> list[float]:
    return [*box, *scores, *coefficients]


def detections(*columns: Any) -> Any:
    return np.array(columns, np.float32).reshape(-1, 9).T


def random_detections(seed: int, count: int = 60) -> Any:
    rng = np.random.default_rng(seed)
    centres = rng.uniform((-8, -8), (104, 72), (count, 2))
    sides = rng.uniform(8, 60, (count, 2))
    # Few different scores, so that some are equal.
    scores = rng.integers(0, 6, (count, 2)) / 6
    rows = np.concatenate([centres, sides, scores, rng.normal(0, 1, (count, 3))], axis=1)
    return rows.astype(np.float32).T


def slow_instances(rows: Any, wanted: Any, step: DecodeYolov8Seg) -> list[tuple[int, int]]:
    """Class and column of each instance, by loops."""
    found = []
    for i in range(rows.shape[1]):
        scores = [float(rows[4 + c, i]) for c in range(len(step.classes))]
        best = scores.index(max(scores))
        if scores[best] > step.confidence and (not wanted or best in wanted):
            found.append((-scores[best], i, best))
    kept: list[tuple[int, int]] = []
    for _, i, best in sorted(found):
        if len(kept) == step.most:
            break
        if all(c != best or slow_overlap(rows, i, j) <= step.overlap for c, j in kept):
            kept.append((best, i))
    return kept


def slow_overlap(rows: Any, i: int, j: int) -> float:
    sides = []
    for k in (i, j):
        x, y, w, h = (np.float32(value) for value in rows[:4, k])
        sides.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    (a, b, c, d), (e, f, g, h) = sides
    common = max(min(c, g) - max(a, e), 0) * max(min(d, h) - max(b, f), 0)
    return float(common / ((c - a) * (d - b) + (g - e) * (h - f) - common))


def slow_bilinear(values: Any, height: int, width: int) -> Any:
    """[h,w] to [height,width], pixel by pixel, edges of pixels aligned."""
    result = np.zeros((height, width))
    for row in range(height):
        for col in range(width):
            y = min(max((row + 0.5) * values.shape[0] / height - 0.5, 0), values.shape[0] - 1)
            x = min(max((col + 0.5) * values.shape[1] / width - 0.5, 0), values.shape[1] - 1)
            top, left = math.floor(y), math.floor(x)
            down, right = min(top + 1, values.shape[0] - 1), min(left + 1, values.shape[1] - 1)
            above = values[top, left] * (1 - x + left) + values[top, right] * (x - left)
            below = values[down, left] * (1 - x + left) + values[down, right] * (x - left)
            result[row, col] = above * (1 - y + top) + below * (y - top)
    return result


def slow_logits(instance: Instance, prototypes: Any, image: tuple[int, int]) -> Any:
    """The logits of an instance at every pixel of the image, NaN outside its box."""
    small = np.einsum("p,phw->hw", instance.coefficients, prototypes)
    wide = slow_bilinear(small, *NETWORK)
    scale = min(NETWORK[0] / image[0], NETWORK[1] / image[1])
    height, width = round(image[0] * scale), round(image[1] * scale)
    above, before = (NETWORK[0] - height) // 2, (NETWORK[1] - width) // 2
    logits = slow_bilinear(wide[above : above + height, before : before + width], *image)
    left, top, right, bottom = instance.box
    for row in range(image[0]):
        for col in range(image[1]):
            y, x = row * height / image[0] + above, col * width / image[1] + before
            if not (left <= x < right and top <= y < bottom):
                logits[row, col] = np.nan
    return logits


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("wanted", [(), (0,), (1,)])
def test_instances_are_those_of_plain_loops(seed: int, wanted: tuple[int, ...]) -> None:
    rows = random_detections(seed)
    found = instances_in(rows, STEP, wanted)
    expected = slow_instances(rows, wanted, STEP)
    assert 3 < len(expected) < 60
    assert [each.class_index for each in found] == [best for best, _ in expected]
    for each, (_, i) in zip(found, expected):
        assert np.array_equal(each.coefficients, rows[6:, i])
        assert each.score == pytest.approx(float(rows[4:6, i].max()))
        assert each.box[0] == pytest.approx(float(rows[0, i] - rows[2, i] / 2), abs=1e-5)


@pytest.mark.parametrize("image", [(64, 96), (75, 40), (31, 90)])
def test_regions_are_those_of_plain_loops(image: tuple[int, int]) -> None:
    prototypes = np.random.default_rng(1).normal(0, 1, (3, 16, 24)).astype(np.float32)
    found = instances_in(random_detections(2, 12), STEP)
    assert any(min(each.box[:2]) < 0 for each in found), "a box off the edge"
    place = placed(image, NETWORK)
    region = region_of(found, prototypes, place, 0.0)
    logits = np.stack([slow_logits(each, prototypes, image) for each in found])
    largest = np.fmax.reduce(logits, axis=0)
    outside = np.isnan(largest)
    assert 0.01 < outside.mean() < 0.9
    assert not region[outside].any()
    sure = np.abs(largest) > 1e-4  # rounding may decide the others
    assert sure.mean() > 0.1
    assert np.array_equal(region[sure], largest[sure] > 0)


def test_of_equal_scores_the_earlier_column_stays() -> None:
    box, moved = (40, 30, 20, 20), (41, 30, 20, 20)
    same = detections(column(box, (0.5, 0.1), (1, 0, 0)), column(moved, (0.5, 0.1), (2, 0, 0)))
    (only,) = instances_in(same, STEP)
    assert only.coefficients[0] == 1
    (other,) = instances_in(same[:, ::-1], STEP)
    assert other.coefficients[0] == 2


def test_classes_do_not_overlap_each_other() -> None:
    box = (40, 30, 20, 20)
    both = detections(column(box, (0.9, 0.1)), column(box, (0.1, 0.8)))
    assert [each.class_index for each in instances_in(both, STEP)] == [0, 1]
    assert [each.class_index for each in instances_in(both, STEP, (1,))] == [1]


def test_an_overlap_at_the_limit_stays() -> None:
    # Two boxes of 20x20, half of each in common: 200 of 600 px.
    rows = detections(column((20, 20, 20, 20), (0.9, 0)), column((30, 20, 20, 20), (0.8, 0)))
    third = DecodeYolov8Seg(("person", "car"), (), "a", "b", overlap=1 / 3 + 1e-6)
    assert len(instances_in(rows, third)) == 2
    below = DecodeYolov8Seg(("person", "car"), (), "a", "b", overlap=1 / 3 - 1e-6)
    assert len(instances_in(rows, below)) == 1


def test_nothing_is_found_at_the_confidence_itself_or_below() -> None:
    rows = detections(column((20, 20, 20, 20), (0.25, 0.2)), column((60, 20, 9, 9), (0, 0.1)))
    assert instances_in(rows, STEP) == []
    empty = region_of([], np.zeros((3, 16, 24), np.float32), placed((50, 60), NETWORK), 0.0)
    assert empty.shape == (50, 60)
    assert not empty.any()


def test_no_more_instances_than_the_step_says() -> None:
    rows = detections(*(column((10 + 8 * i, 30, 4, 4), (0.9 - i / 100, 0)) for i in range(9)))
    few = DecodeYolov8Seg(("person", "car"), (), "a", "b", most=4)
    assert [each.box[0] for each in instances_in(rows, few)] == [8, 16, 24, 32]


@pytest.mark.parametrize("box", [(-200, -200, 50, 50), (400, 30, 20, 20), (40, 30, -10, -10)])
def test_a_box_outside_or_turned_inside_out_masks_nothing(box: tuple[float, ...]) -> None:
    found = instances_in(detections(column(box, (0.9, 0))), STEP)
    assert len(found) == 1
    prototypes = np.ones((3, 16, 24), np.float32)
    assert not region_of(found, prototypes, placed((50, 60), NETWORK), 0.0).any()


def test_cells_are_those_of_three_strides() -> None:
    assert cells_of((640, 640)) == 8400
    assert cells_of(NETWORK) == 96 + 24 + 6


def test_an_unknown_class_is_answered_with_those_there_are() -> None:
    assert class_indices(STEP, ("car",)) == (1,)
    assert class_indices(STEP, ()) == ()
    with pytest.raises(InputError, match="no class 'dog'; there are person, car"):
        class_indices(STEP, ("dog",))


@pytest.mark.parametrize(
    ("image", "inner", "corner"),
    [
        ((64, 96), (64, 96), (0, 0)),
        ((32, 32), (64, 64), (0, 16)),
        ((100, 100), (64, 64), (0, 16)),
        ((30, 90), (32, 96), (16, 0)),
        ((31, 90), (33, 96), (15, 0)),  # 31 px of filling: the smaller part is above
    ],
)
def test_an_image_lies_in_the_middle(
    image: tuple[int, int], inner: tuple[int, int], corner: tuple[int, int]
) -> None:
    place = placed(image, NETWORK)
    assert (place.inner, (place.top, place.left)) == (inner, corner)
    pixels = np.zeros((*image, 3), np.uint8)
    pixels[..., 2] = 255  # red, in BGR
    found = letterboxed(pixels, place, Letterbox(), PLAIN)
    assert found.shape == (1, 3, *NETWORK)
    assert found.dtype == np.float32
    inside = np.zeros(NETWORK, np.bool_)
    inside[corner[0] : corner[0] + inner[0], corner[1] : corner[1] + inner[1]] = True
    assert np.array_equal(found[0, 0] == 1, inside)
    assert np.array_equal(found[0, 2] == 0, inside)
    assert np.allclose(found[0, :, ~inside], 114 / 255)


def test_an_image_of_which_nothing_would_be_left_is_refused() -> None:
    with pytest.raises(InputError, match="10000x1 px: too narrow"):
        placed((1, 10_000), NETWORK)
