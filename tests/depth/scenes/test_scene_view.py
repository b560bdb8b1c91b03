"""Views at the size of their source images, with cameras to match."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from depth.errors import InputError
from depth.scenes.geometry import centres, to_pixels, to_world
from depth.scenes.options import OWN, SOURCE
from depth.scenes.scene import Scene, Source
from depth.scenes.view import frame_of, has_images, image_of, view_of
from tests.support.rendered import rendered
from tests.support.scene_samples import H, S, W, small, source

LARGE = rendered(size=(120, 160)).scene
SMALL = rendered(size=(60, 80)).scene


def from_source(scene: Scene, *sources: Source) -> Scene:
    return replace(scene, sources=sources)


def test_without_sources_both_sizes_are_the_scene_s_own() -> None:
    for size in (SOURCE, OWN):
        view = view_of(SMALL, 1, size)
        assert view.frame.size == SMALL.size
        np.testing.assert_array_equal(view.frame.intrinsics, SMALL.intrinsics[1])
        np.testing.assert_array_equal(view.depth, SMALL.depth[1])


def test_cameras_of_a_source_are_those_of_a_picture_of_that_size() -> None:
    """The renderer draws the same camera at both sizes: no half px is lost between them."""
    scene = from_source(SMALL, *[source((120, 160))] * len(SMALL))
    for view in range(len(scene)):
        frame = frame_of(scene, view, SOURCE)
        np.testing.assert_allclose(frame.intrinsics, LARGE.intrinsics[view], rtol=1e-12)
        np.testing.assert_array_equal(frame_of(scene, view, OWN).intrinsics, SMALL.intrinsics[view])


def test_depth_at_the_size_of_the_source_is_that_of_a_picture_of_that_size() -> None:
    scene = from_source(SMALL, *[source((120, 160))] * len(SMALL))
    for view in range(len(scene)):
        error = np.abs(view_of(scene, view, SOURCE).depth / LARGE.depth[view] - 1)
        assert np.median(error) < 5e-4
        assert (error > 0.03).mean() < 0.05, "beside edges of things"


def test_no_depth_lies_between_the_things_at_an_edge() -> None:
    depth = np.full((S, H, W), 2, np.float32)
    depth[:, :, 3:] = 5
    depth[:, 2:, :2] = 0
    found = view_of(from_source(small(depth=depth), source(), source()), 0, SOURCE)
    assert set(found.depth.ravel().tolist()) == {0.0, 2.0, 5.0}
    np.testing.assert_array_equal(found.depth[0], [2] * 6 + [5] * 6)
    np.testing.assert_array_equal(found.depth[-1], [0] * 4 + [2] * 2 + [5] * 6)


def test_missing_depth_is_not_mixed_in() -> None:
    """So much larger that a missing neighbour's share is below what passes for a slope."""
    depth = np.full((S, H, W), 2, np.float32)
    depth[:, :, 3:] = 0
    large = source((H * 40, W * 40))
    found = view_of(from_source(small(depth=depth), large, large), 0, SOURCE)
    assert set(found.depth.ravel().tolist()) == {0.0, 2.0}


def test_a_slope_is_interpolated() -> None:
    depth = np.broadcast_to(np.linspace(10, 11, W, dtype=np.float32), (S, H, W)).copy()
    found = view_of(from_source(small(depth=depth), source(), source()), 0, SOURCE)
    np.testing.assert_allclose(np.diff(found.depth[0][1:-1]), 0.1, rtol=1e-4)


def test_a_window_puts_the_view_where_it_was_cut_out() -> None:
    """A view that is the lower right quarter of its source, enlarged twofold."""
    cut = source((20, 24), window=(12, 10, 12, 8))
    depth = np.full((S, H, W), 2, np.float32)
    sky = np.zeros((S, H, W), bool)
    sky[:, 0, 0] = True
    scene = small(depth=depth, sky=sky, confidence=depth + 1)
    found = view_of(from_source(scene, cut, cut), 1, SOURCE)
    inside = np.zeros((20, 24), bool)
    inside[10:18, 12:24] = True
    np.testing.assert_array_equal(found.depth, np.where(inside, 2, 0))
    assert found.confidence is not None
    assert found.sky is not None
    np.testing.assert_array_equal(found.confidence, np.where(inside, 3, 0))
    np.testing.assert_array_equal(np.argwhere(found.sky), [[10, 12], [10, 13], [11, 12], [11, 13]])
    np.testing.assert_array_equal(
        found.frame.intrinsics, [[10, 0, 2 * W / 2 + 12], [0, 10, 2 * H / 2 + 10], [0, 0, 1]]
    )


def test_a_point_has_its_place_in_every_frame() -> None:
    cut = source((20, 24), window=(12, 10, 12, 8))
    scene = from_source(small(), cut, cut)
    own = centres(np.array([1, 3]), np.array([0, 5]))
    z = np.array([2.0, 3.0])
    world = to_world(own, z, scene.intrinsics[1], scene.extrinsics[1])
    frame = frame_of(scene, 1, SOURCE)
    places, found = to_pixels(world, frame.intrinsics, scene.extrinsics[1])
    np.testing.assert_allclose(places, frame.places(own))
    np.testing.assert_allclose(found, z)


def test_images_are_those_of_the_size() -> None:
    scene = small(images=np.full((S, H, W, 3), 7, np.uint8))
    assert has_images(scene, SOURCE)
    assert not has_images(small(), SOURCE)
    with pytest.raises(InputError, match="the scene has no images"):
        image_of(small(), 0, OWN)
    with_sources = from_source(scene, source(), source())
    for size, shape in ((SOURCE, (8, 12, 3)), (OWN, (H, W, 3))):
        assert image_of(with_sources, 1, size).shape == shape
    assert not has_images(from_source(small(), source(), source()), OWN)


@pytest.mark.parametrize("own", [1, 3])
def test_one_row_is_enough(own: int) -> None:
    scene = small(depth=np.full((S, own, 1), 2, np.float32))
    found = view_of(from_source(scene, source((5, 4)), source((5, 4))), 0, SOURCE)
    np.testing.assert_array_equal(found.depth, np.full((5, 4), 2))
