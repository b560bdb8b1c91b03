"""The demo model's scenes: the same seed gives the same scene, and its depth is exact."""

from __future__ import annotations

import numpy as np
import pytest

from checkpoints.demo import evaluate, pool
from checkpoints.demo.scenes.kinds import KINDS, SEEN, UNSEEN, build
from checkpoints.demo.scenes.render import View, cast, render
from checkpoints.demo.scenes.solids import BALL, BOX, CYLINDER, PLANE, ROOM
from checkpoints.demo.scenes.world import Camera, World, turn
from depth.errors import InputError

SIZE = (60, 80)


def _world() -> World:
    """An empty world and a level camera at height 2 m that looks along z."""
    return World(np.random.default_rng(0), Camera.aimed((0, 2, 0), 0, 0, 0, 1.2))


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_has_a_picture_and_finite_inverse_depth(kind: str) -> None:
    scene = render(5, kind, SIZE)
    assert scene.kind == kind
    assert (scene.image.shape, scene.image.dtype) == ((*SIZE, 3), np.uint8)
    assert (scene.inverse_depth.shape, scene.inverse_depth.dtype) == (SIZE, np.float32)
    assert np.isfinite(scene.inverse_depth).all()
    assert (scene.inverse_depth >= 0).all()
    assert scene.inverse_depth.max() > scene.inverse_depth.min()


def test_same_arguments_same_scene_other_seed_other_scene() -> None:
    first, again, other = render(7, "room", SIZE), render(7, "room", SIZE), render(8, "room", SIZE)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.inverse_depth, again.inverse_depth)
    assert not np.array_equal(first.inverse_depth, other.inverse_depth)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="castle.*choose from.*room"):
        render(0, "castle", SIZE)


def test_training_never_sees_the_unseen_kinds_nor_the_evaluation_seeds() -> None:
    assert not set(SEEN) & set(UNSEEN)
    assert {pool.training_kind(seed) for seed in range(100)} == set(SEEN)
    assert evaluate.FIRST_SEED > 100 * pool.CHUNK


def test_ground_depth_is_the_formula() -> None:
    world = _world()
    world.add(PLANE, (0, 0, 0), (2, 2, 2))
    view = View.of(world.camera, SIZE)
    depth, owner = cast(world, view)
    below = view.y > 0.05  # image y runs down: a row of slope s meets the ground at height / s
    expected = np.broadcast_to(2 / view.y[below, None], (below.sum(), SIZE[1]))
    np.testing.assert_allclose(depth[below], expected, rtol=1e-6)
    assert (owner[view.y < 0] == -1).all()


def test_ball_depth_is_the_formula() -> None:
    world = _world()
    world.add(BALL, (0.5, 2.2, 6), (3, 3, 3))
    view = View.of(world.camera, SIZE)
    depth, _ = cast(world, view)
    x, y = np.meshgrid(view.x.astype(np.float64), view.y.astype(np.float64))
    ray = np.stack([x, -y, np.ones_like(x)], axis=-1)
    centre = np.array([0.5, 0.2, 6])
    a, b = (ray**2).sum(-1), ray @ centre
    inside = b**2 - a * (centre @ centre - 1.5**2)
    hit = inside > 1e-3
    expected = (b[hit] - np.sqrt(inside[hit])) / a[hit]
    np.testing.assert_allclose(depth[hit], expected, rtol=1e-4)
    assert np.isinf(depth[inside < -1e-3]).all()


@pytest.mark.parametrize("form", [BOX, CYLINDER])
def test_facing_side_is_flat_whatever_turned_about_the_axis(form: str) -> None:
    """A box, or a cylinder seen on its cap, has one depth on the side that faces the camera."""
    world = _world()
    upright = turn(0, np.pi / 2) if form == CYLINDER else turn(0, 0, 0.3)
    world.add(form, (0, 2, 5), (2, 2, 2), rotation=upright)
    view = View.of(world.camera, SIZE)
    depth, owner = cast(world, view)
    middle = depth[SIZE[0] // 2 - 4 : SIZE[0] // 2 + 4, SIZE[1] // 2 - 4 : SIZE[1] // 2 + 4]
    np.testing.assert_allclose(middle, 4, rtol=1e-5)
    assert (owner >= 0).mean() < 0.5


def test_room_shows_its_far_wall_and_nearer_solids_hide_it() -> None:
    world = _world()
    world.add(ROOM, (0, 2, 4), (40, 40, 20))
    wall, _ = cast(world, View.of(world.camera, SIZE))
    np.testing.assert_allclose(wall, 14, rtol=1e-5)
    world.add(BALL, (0, 2, 6), (1, 1, 1))
    depth, owner = cast(world, View.of(world.camera, (61, 81)))
    assert depth[30, 40] == pytest.approx(5.5, rel=1e-5)
    assert owner[30, 40] == 1


def test_depth_is_along_the_axis_also_for_a_turned_camera() -> None:
    """Every visible point, put back into the camera's frame, has the z that the map says."""
    rng = np.random.default_rng(3)
    world = build("plain", rng)
    view = View.of(world.camera, SIZE)
    depth, owner = cast(world, view)
    ground = [n for n, solid in enumerate(world.solids) if solid.form == PLANE][0]
    x, y = np.meshgrid(view.x, view.y)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ world.camera.rotation.T
    on_ground = (owner == ground) & (depth < 50)
    height = world.camera.position[1] + rays[on_ground][:, 1] * depth[on_ground]
    assert on_ground.any()
    np.testing.assert_allclose(height, 0, atol=1e-4)
