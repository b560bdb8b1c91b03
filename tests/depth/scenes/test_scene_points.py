"""Which pixels become points and tracks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from depth.errors import InputError
from depth.scenes.options import Options
from depth.scenes.points import clamped_threshold, cloud, drawn, threshold, usable
from depth.scenes.scene import Scene
from depth.scenes.tracks import tracks_of
from tests.support.rendered import rendered, sure
from tests.support.scene_samples import H, S, W, small

ROOM = rendered(size=(36, 48))


def confident(values: Any, **changes: Any) -> Scene:
    return small(confidence=np.asarray(values, np.float32).reshape(S, H, W), **changes)


def test_the_points_of_a_plane_are_on_it() -> None:
    found = cloud(small(), Options())
    assert (found.points[:, 2] == 2).all()
    first = found.points.reshape(S, H, W, 3)
    np.testing.assert_allclose(first[0, 0, 0], [-2.5 / 5 * 2, -1.5 / 5 * 2, 2])
    np.testing.assert_allclose(first[1] - first[0], np.broadcast_to([-0.5, 0, 0], (H, W, 3)))
    assert (found.colours == 128).all()


def test_the_least_sure_and_the_sky_and_what_has_no_depth_are_no_points() -> None:
    depth = np.full((S, H, W), 2, np.float32)
    depth[0, 0, 0] = 0
    sky = np.zeros((S, H, W), bool)
    sky[1] = True
    scene = confident(np.arange(48), depth=depth, sky=sky)
    assert threshold(scene, 50) == np.percentile(np.arange(24), 50), "of what is not sky"
    good = usable(scene, threshold(scene, 50), Options())
    assert np.flatnonzero(good).tolist() == [*range(12, 24)]
    assert np.flatnonzero(usable(scene, None, Options())).tolist() == [*range(1, 24)]


def test_black_and_white_backgrounds_are_left_out_when_asked() -> None:
    images = np.full((S, H, W, 3), 100, np.uint8)
    images[0, 0, :3] = [[15, 15, 15], [15, 16, 15], [16, 16, 16]]
    images[0, 1, :3] = [[240, 240, 240], [240, 239, 240], [255, 255, 255]]
    scene = small(images=images)
    lost = [
        np.flatnonzero(~usable(scene, None, Options(black=black, white=white))).tolist()
        for black, white in ((True, True), (False, True), (True, False), (False, False))
    ]
    assert lost == [[], [0], [W, W + 2], [0, W, W + 2]]
    assert usable(small(), None, Options(black=False, white=False)).all()


def test_little_ground_says_nothing_of_confidence() -> None:
    sky = np.ones((S, H, W), bool)
    sky[0, 0] = False
    scene = confident(np.arange(48), sky=sky)
    assert threshold(scene, 50) == np.percentile(np.arange(48), 50)


@pytest.mark.parametrize(
    ("values", "percentile", "expected"),
    [
        (np.linspace(1, 2, 48), 40, np.percentile(np.linspace(1, 2, 48), 40)),
        (np.linspace(1, 2, 48), 1, 1.05),
        (np.linspace(1, 2, 48), 99, np.percentile(np.linspace(1, 2, 48), 90)),
        (np.ones(48), 40, 1.0),
    ],
)
def test_the_threshold_of_glb_is_clamped(values: Any, percentile: float, expected: float) -> None:
    assert clamped_threshold(confident(values), percentile) == pytest.approx(expected)


def test_without_confidence_there_is_no_threshold() -> None:
    assert threshold(small(), 40) is None
    assert clamped_threshold(small(), 40) is None


def test_the_same_seed_draws_the_same_points() -> None:
    everything = cloud(ROOM.scene, Options()).points
    some = [cloud(ROOM.scene, Options(points=100, seed=seed)).points for seed in (1, 1, 2)]
    assert [len(each) for each in some] == [100] * 3
    np.testing.assert_array_equal(some[0], some[1])
    assert not np.array_equal(some[0], some[2])
    where = {tuple(point): number for number, point in enumerate(everything.tolist())}
    numbers = [where[tuple(point)] for point in some[0].tolist()]
    assert numbers == sorted(set(numbers)), "each once, view by view, row by row"
    assert max(numbers) > len(everything) / 2, "of all views"


def test_few_positions_are_all_drawn() -> None:
    where = np.array([3, 5, 9])
    assert drawn(where, 3, 0).tolist() == [3, 5, 9]
    assert len(drawn(where, 2, 0)) == 2
    assert len(drawn(where, 0, 0)) == 0


def test_a_scene_without_points_is_refused() -> None:
    with pytest.raises(InputError, match="no point is left"):
        cloud(small(depth=np.zeros((S, H, W), np.float32)), Options())
    with pytest.raises(InputError, match="no point is left"):
        tracks_of(small(sky=np.ones((S, H, W), bool)), Options())


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"size": "half"}, "size 'half' of an export: expected default, source or own"),
        ({"percentile": -1}, "percentile -1: expected 0 to 100"),
        ({"percentile": 101}, "percentile 101: expected 0 to 100"),
        ({"percentile": float("nan")}, "percentile nan"),
        ({"points": 0}, "points 0: expected 1 or more"),
        ({"track_points": 0}, "track_points 0"),
        ({"every": 0}, "every 0: expected 1 or more"),
        ({"fps": 0}, "fps 0: expected over 0, up to 240"),
        ({"seed": -1}, "seed -1: expected 0 or more"),
    ],
)
def test_options_out_of_range_are_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        Options(**values)


def test_views_of_one_plane_share_every_point_that_both_see() -> None:
    """The second camera is 0.5 to the left: a shift of 0.5 / 2 * 5 = 1.25 px."""
    found = tracks_of(small(), Options())
    lengths = found.lengths()
    assert lengths.max() == 2
    both = np.flatnonzero(lengths == 2)
    shifts = []
    for point in both.tolist():
        places = found.places[found.point == point]
        shifts.append((places[1] - places[0]).tolist())
    np.testing.assert_allclose(shifts, np.broadcast_to([1.25, 0], (len(both), 2)), atol=1e-12)
    own_places = found.places[found.view == 0]
    assert len(np.unique(own_places, axis=0)) == len(own_places)


@pytest.mark.parametrize(("other", "shared"), [(2.0, True), (2.018, True), (2.03, False)])
def test_depth_that_disagrees_shares_nothing(other: float, shared: bool) -> None:
    depth = np.full((S, H, W), 2, np.float32)
    depth[1] = other
    lengths = tracks_of(small(depth=depth), Options()).lengths()
    assert lengths.max() == (2 if shared else 1)


@pytest.mark.parametrize("lost", ["sky", "no depth"])
def test_a_pixel_that_is_not_usable_sees_nothing(lost: str) -> None:
    depth, sky = np.full((S, H, W), 2, np.float32), np.zeros((S, H, W), bool)
    if lost == "sky":
        sky[1] = True
    else:
        depth[1] = 0
    found = tracks_of(small(depth=depth, sky=sky), Options())
    assert found.lengths().tolist() == [1] * (H * W), "what view 0 sees alone"


def test_nothing_is_seen_across_an_edge() -> None:
    """Every four neighbours of view 1 have two depths: it sees only what begins in it."""
    depth = np.full((S, H, W), 2, np.float32)
    depth[1, ::2, ::2] = depth[1, 1::2, 1::2] = 2.2
    extrinsics = small().extrinsics.copy()
    extrinsics[1, 0, 3] = 0.408  # 1.02 px: nearly all of the weight is one neighbour's
    found = tracks_of(small(depth=depth, extrinsics=extrinsics), Options())
    assert found.lengths().min() == 2
    places = found.places[found.view == 1]
    np.testing.assert_array_equal(places % 1, np.full(places.shape, 0.5))
    depth[1, ::2, ::2] = depth[1, 1::2, 1::2] = 2.1  # no edge
    found = tracks_of(small(depth=depth, extrinsics=extrinsics), Options())
    assert (found.places[found.view == 1] % 1 != 0.5).any()


def test_what_one_view_alone_sees_is_left_out() -> None:
    found = tracks_of(small(), Options())
    assert found.lengths().tolist() == [2] * len(found.points)
    assert 0 < len(found.points) < S * H * W / 2


def test_what_is_behind_a_camera_is_not_seen() -> None:
    extrinsics = small().extrinsics.copy()
    extrinsics[1] = np.column_stack([np.diag([-1.0, 1.0, -1.0]), [0, 0, 0]])  # it looks back
    assert tracks_of(small(extrinsics=extrinsics), Options()).lengths().max() == 1


def test_what_another_thing_hides_is_not_shared() -> None:
    found = tracks_of(ROOM.scene, Options(percentile=0, track_points=1500))
    for view in range(len(ROOM.scene)):
        at = found.view == view
        truth = ROOM.depth_at(view, found.places[at])
        _, z = ROOM.seen(view, found.points[found.point[at]] * [1, -1, 1])
        assert (z > truth * 1.02).mean() < 0.005


def test_tracks_are_few_and_the_same_for_the_same_seed() -> None:
    scene = sure(ROOM).scene
    first, again, other = (
        tracks_of(scene, Options(track_points=100, seed=seed)) for seed in (5, 5, 6)
    )
    assert 80 < len(first.points) <= 100
    np.testing.assert_array_equal(first.places, again.places)
    np.testing.assert_array_equal(first.point, again.point)
    assert not np.array_equal(first.points, other.points)
    assert first.lengths().min() == 2
    assert (np.diff(first.view) >= 0).all()


def test_many_views_have_tracks_of_some_views_that_tie_all_together() -> None:
    count = 60
    one = small()
    extrinsics = np.repeat(one.extrinsics[:1], count, axis=0)
    extrinsics[:, 0, 3] = np.arange(count) * 0.01
    scene = replace(
        one,
        depth=np.repeat(one.depth[:1], count, axis=0),
        extrinsics=extrinsics,
        intrinsics=np.repeat(one.intrinsics[:1], count, axis=0),
        names=tuple(map(str, range(count))),
    )
    found = tracks_of(scene, Options())
    assert 3 <= found.lengths().max() <= 17
    tied = np.eye(count, dtype=bool)
    for point in range(len(found.points)):
        views = found.view[found.point == point]
        tied[np.ix_(views, views)] = True
    for _ in range(6):  # paths of twice the length each time
        tied = tied @ tied
    assert tied.all()
    ends = [np.ptp(found.view[found.point == point]) for point in range(len(found.points))]
    assert max(ends) == count - 1, "the ends are tied by one point, not by a chain alone"


def test_one_view_has_tracks_of_one() -> None:
    one = small()
    alone = replace(
        one,
        depth=one.depth[:1],
        extrinsics=one.extrinsics[:1],
        intrinsics=one.intrinsics[:1],
        names=one.names[:1],
    )
    found = tracks_of(alone, Options())
    assert found.lengths().tolist() == [1] * (H * W)
