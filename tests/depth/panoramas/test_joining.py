"""Views with errors of their own -> one panorama that agrees with the truth of a room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from depth.errors import InputError
from depth.family import (
    CONFIDENCE,
    DEPTH,
    FOCAL_NORMALISED,
    METRES,
    RELATIVE_DEPTH,
    RELATIVE_INVERSE,
    SKY,
)
from depth.maps.result import FloatArray, Map
from depth.panoramas.geometry import even_directions
from depth.panoramas.joining import Joined, depth_of_panorama, joined
from depth.panoramas.layouts import LAYOUTS, Layout, layout_named
from depth.panoramas.sampling import Sphere
from tests.support.room import depth_of, distorted, panorama, picture

SIDE, SIZE = 192, (192, 384)
TRUTH = panorama(SIZE).distance


def views_of(layout: Layout, seed: int = 0, noise: float = 0.01) -> list[FloatArray]:
    rng = np.random.default_rng(seed)
    return [distorted(view, SIDE, rng, noise) for view in layout.views]


def maps_of(values: list[FloatArray], kind: str = RELATIVE_INVERSE) -> list[dict[str, Map]]:
    return [{DEPTH: Map(each, kind)} for each in values]


def errors_of(found: Joined) -> np.ndarray:
    """Relative errors of the distance, evenly over the sphere, after one scale and shift to the
    truth in inverse distance.
    """
    rays = even_directions(8192)[np.newaxis]
    sampled = (Sphere(each).along(rays).ravel() for each in (found.maps[DEPTH].values, TRUTH32))
    values, true = (each.astype(np.float64) for each in sampled)
    columns = np.stack([values * true, true], 1)
    best = np.linalg.lstsq(columns, np.ones(len(true)), rcond=None)[0]
    return np.abs(
        1 / np.maximum(np.stack([values, np.ones_like(values)], 1) @ best, 1e-3) / true - 1
    )


TRUTH32 = TRUTH.astype(np.float32)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", LAYOUTS)
def test_views_of_any_scale_and_shift_join_to_the_truth(name: str, seed: int) -> None:
    layout = layout_named(name)
    found = joined(layout, maps_of(views_of(layout, seed)), SIZE)
    errors = errors_of(found)
    assert np.median(errors) < 0.015
    assert np.quantile(errors, 0.95) < 0.03
    assert found.projection.alignment == "affine"
    assert found.projection.disagreement_95 < 0.03


@pytest.mark.parametrize("method", ["none", "scale"])
def test_without_their_alignment_the_same_views_do_not(method: str) -> None:
    layout = layout_named("tangent10")
    errors = errors_of(joined(layout, maps_of(views_of(layout)), SIZE, method))
    assert np.median(errors) > 0.04
    assert np.quantile(errors, 0.95) > 0.1


def test_wrong_parts_of_views_are_outvoted_and_have_low_confidence() -> None:
    layout = layout_named("tangent10")
    values = views_of(layout)
    values[2][:, : SIDE // 3] *= 2.5  # 45 to 60 degrees left of the axis of view2, at 90 degrees
    found = joined(layout, maps_of(values), SIZE)
    sure = found.maps[CONFIDENCE].values
    wrong = sure[80:112, int((50 / 360 + 0.5) * 384)].mean()
    assert wrong < 0.5 < np.median(sure)
    right = joined(layout, maps_of(views_of(layout)), SIZE).maps[DEPTH].values
    far = slice(0, 130)  # columns far from the wrong part
    ratio = found.maps[DEPTH].values[:, far] / right[:, far]
    assert np.quantile(np.abs(ratio / np.median(ratio) - 1), 0.95) < 0.05


def test_the_panorama_has_no_seam_behind() -> None:
    layout = layout_named("tangent10")
    values = joined(layout, maps_of(views_of(layout, noise=0)), SIZE).maps[DEPTH].values
    steps = np.abs(np.diff(values, axis=1)).mean(axis=0)
    seam = np.abs(values[:, 0] - values[:, -1]).mean()
    assert seam <= np.quantile(steps, 0.9)
    assert np.abs(values[0] - values[0].mean()).max() < 0.02 * values[0].mean()  # round the pole


@pytest.mark.parametrize("kind", [METRES, RELATIVE_DEPTH])
def test_depth_becomes_distance_along_the_ray(kind: str) -> None:
    layout, rng = layout_named("tangent10"), np.random.default_rng(0)
    scales = rng.uniform(0.8, 1.25, len(layout.views))
    values = [(depth_of(v, SIDE) * s).astype(np.float32) for v, s in zip(layout.views, scales)]
    found = joined(layout, maps_of(values, kind), SIZE)
    ratio = found.maps[DEPTH].values / TRUTH
    assert found.maps[DEPTH].kind == kind
    assert found.projection.alignment == "scale"
    assert np.quantile(np.abs(ratio / np.median(ratio) - 1), 0.95) < 0.01
    # The middle of what the views say is kept.
    assert np.median(ratio) == pytest.approx(np.exp(np.log(scales).mean()), rel=0.01)
    apart = joined(layout, maps_of(values, kind), SIZE, "none").maps[DEPTH].values / TRUTH
    assert np.quantile(np.abs(apart / np.median(apart) - 1), 0.95) > 0.05


def test_true_metres_stay_true_and_other_maps_come_along() -> None:
    layout = layout_named("cube6")
    views = maps_of([depth_of(view, SIDE) for view in layout.views], METRES)
    for view, maps in zip(layout.views, views):
        maps[SKY] = Map(np.full((SIDE, SIDE), view.pitch_deg > 0, np.float32), SKY)
    found = joined(layout, views, SIZE, "none")
    errors = np.abs(found.maps[DEPTH].values / TRUTH - 1)
    assert np.quantile(errors, 0.95) < 0.01
    assert set(found.maps) == {DEPTH, CONFIDENCE, SKY}
    sky = found.maps[SKY].values
    assert sky[:10].min() > 0.99
    assert sky[100:].max() < 0.01


def test_a_view_that_shows_nothing_breaks_nothing() -> None:
    layout = layout_named("tangent10")
    values = views_of(layout)
    values[8] = np.zeros_like(values[8])  # up: sky
    found = joined(layout, maps_of(values), SIZE)
    assert np.isfinite(found.maps[DEPTH].values).all()
    assert all(view.scale > 0 for view in found.projection.views)
    below = errors_of(found)[4500:]  # directions go from up to down
    assert np.quantile(below, 0.8) < 0.05
    flat = joined(layout, maps_of([np.zeros_like(each) for each in values]), SIZE)
    assert np.isfinite(flat.maps[DEPTH].values).all()


def test_a_network_in_python_will_do() -> None:
    layout = layout_named("cube6")
    sizes = []

    def estimate(pictures: list[np.ndarray]) -> list[dict[str, Map]]:
        sizes.extend(each.shape for each in pictures)
        return maps_of([1 / depth_of(view, 64) for view in layout.views])

    found = depth_of_panorama(picture(SIZE), estimate, layout, side_px=64)
    assert sizes == [(64, 64, 3)] * 6
    assert np.median(errors_of(found)) < 0.02
    with pytest.raises(InputError, match="twice as wide as high"):
        depth_of_panorama(picture((64, 64)), estimate, layout)


def test_views_that_do_not_go_together_are_refused() -> None:
    layout = layout_named("cube6")
    views = maps_of([depth_of(view, 32) for view in layout.views], METRES)
    with pytest.raises(InputError, match="5 results: expected 6, one of each view"):
        joined(layout, views[:5], SIZE)
    mixed = [*views[:5], {DEPTH: replace(views[5][DEPTH], kind=RELATIVE_DEPTH)}]
    with pytest.raises(InputError, match="expected one kind and one size"):
        joined(layout, mixed, SIZE)
    oblong = [{DEPTH: Map(np.ones((8, 9), np.float32), METRES)}] * 6
    with pytest.raises(InputError, match="as high as wide"):
        joined(layout, oblong, SIZE)
    unknown = maps_of([np.ones((8, 8), np.float32)] * 6, FOCAL_NORMALISED)
    with pytest.raises(InputError, match="give the network the focal length of the views"):
        joined(layout, unknown, SIZE)
    with pytest.raises(InputError, match="alignment 'both': expected affine, scale, none"):
        joined(layout, views, SIZE, "both")
    alone = Layout("one", layout.views[:1])
    with pytest.raises(InputError, match="1 views: they hardly overlap"):
        joined(alone, views[:1], SIZE)


def test_views_that_contradict_each_other_stay_as_they_are() -> None:
    layout, rng = layout_named("cube6"), np.random.default_rng(3)
    for values in (
        [np.full((SIDE, SIDE), 2, np.float32)] * 6,
        [rng.standard_normal((SIDE, SIDE)).astype(np.float32) for _ in range(6)],
        [
            (1 if number % 2 else -1) / depth_of(view, SIDE)
            for number, view in enumerate(layout.views)
        ],
    ):
        found = joined(layout, maps_of(values), SIZE)
        assert np.isfinite(found.maps[DEPTH].values).all()
        assert all(view.scale > 0 for view in found.projection.views)
