"""Gaussians as pictures and as films."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depth.errors import InputError
from depth.scenes import rasteriser
from depth.scenes.export import export_scene
from depth.scenes.formats import gs_video
from depth.scenes.options import Options
from depth.scenes.rasteriser import Lens, seen_by
from depth.scenes.scene import Scene
from depth.steps.gaussians import Gaussians
from tests.support.rendered import rendered, sure
from tests.support.scene_samples import with_all

LENS = Lens(np.eye(3, 4), np.array([[20.0, 0, 10], [0, 20, 8], [0, 0, 1]]), (16, 20))
DC = 0.28209479177387814  # the first harmonic


def some(count: int = 1) -> Gaussians:
    """Round Gaussians in the middle, 4 in front, of white."""
    harmonics = np.zeros((count, 3, 9), np.float32)
    harmonics[:, :, 0] = 0.5 / DC
    return Gaussians(
        np.tile(np.array([0, 0, 4], np.float32), (count, 1)),
        np.full((count, 3), 0.4, np.float32),
        np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        harmonics,
        np.full(count, 0.8, np.float32),
    )


def coloured(gaussians: Gaussians, *colours: tuple[float, float, float]) -> Gaussians:
    harmonics = gaussians.harmonics.copy()
    harmonics[:, :, 0] = (np.array(colours) - 0.5) / DC
    return replace(gaussians, harmonics=harmonics)


def drawn(gaussians: Gaussians, lens: Lens = LENS) -> np.ndarray:
    return seen_by(gaussians, lens).picture().astype(float) / 255


def test_a_round_gaussian_is_a_bell_around_its_place() -> None:
    found = drawn(some())[..., 0]
    y, x = np.indices((16, 20)) + 0.5 - np.array([8, 10])[:, None, None]
    variance = (0.4 * 20 / 4) ** 2 + 0.3
    expected = 0.8 * np.exp(-0.5 * (x * x + y * y) / variance)
    inside = np.maximum(abs(x), abs(y)) < 3 * np.sqrt(variance) - 1
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.004)
    assert (found[np.maximum(abs(x), abs(y)) > 3 * np.sqrt(variance)] == 0).all()


def test_a_long_gaussian_turns_with_its_quaternion() -> None:
    long = replace(some(), scales=np.array([[0.8, 0.1, 0.1]], np.float32))
    flat = drawn(long)[..., 0]
    quarter = np.array([[np.cos(np.pi / 4), 0, 0, np.sin(np.pi / 4)]], np.float32)
    tall = drawn(replace(long, rotations=quarter))[..., 0]
    assert (flat[8] > 0.05).sum() > 3 * (flat[:, 10] > 0.05).sum()
    np.testing.assert_allclose(tall[2:14, 4:16], flat[2:14, 4:16].T, atol=0.01)


def test_the_nearest_is_over_the_others() -> None:
    """Whatever their order; what is seen of the far one is what the near one lets through."""
    two = coloured(some(2), (1, 0, 0), (0, 1, 0))
    for near, far in ((0, 1), (1, 0)):
        means = two.means.copy()
        means[far, 2] = 5
        found = drawn(replace(two, means=means))[7, 9]
        assert found[near] == pytest.approx(0.78, abs=0.03)
        assert found[far] == pytest.approx((1 - found[near]) * 0.78, abs=0.03)


def test_many_gaussians_are_as_by_a_loop_over_pixels() -> None:
    rng = np.random.default_rng(0)
    count = 60
    turns = rng.standard_normal((count, 4))
    many = Gaussians(
        (rng.uniform(-1, 1, (count, 3)) * [2, 1.6, 1] + [0, 0, 4]).astype(np.float32),
        rng.uniform(0.05, 0.4, (count, 3)).astype(np.float32),
        (turns / np.linalg.norm(turns, axis=1, keepdims=True)).astype(np.float32),
        rng.normal(0, 0.3, (count, 3, 9)).astype(np.float32),
        rng.uniform(0.2, 1, count).astype(np.float32),
    )
    e = seen_by(many, LENS)
    expected = np.zeros((16, 20, 3))
    for row in range(16):
        for column in range(20):
            left = 1.0
            for n in range(len(e.places)):
                inside = (e.low[n] <= [column, row]).all() and (e.high[n] > [column, row]).all()
                x, y = column + 0.5 - e.places[n, 0], row + 0.5 - e.places[n, 1]
                a, b, c = e.inverse[n]
                alpha = e.opacity[n] * np.exp(-0.5 * (a * x * x + c * y * y) - b * x * y)
                if inside and alpha >= 1 / 255:
                    alpha = min(alpha, 0.99)
                    expected[row, column] += left * alpha * e.colours[n]
                    left *= 1 - alpha
    np.testing.assert_allclose(e.picture() / 255, np.clip(expected, 0, 1), atol=0.003)


def test_bands_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = with_all(sure(rendered(size=(24, 32))).scene)
    assert scene.gaussians is not None
    ellipses = seen_by(scene.gaussians, Lens(scene.extrinsics[0], scene.intrinsics[0], scene.size))
    whole = ellipses.picture()
    monkeypatch.setattr(rasteriser, "_PAIRS", ellipses.pairs // 7)
    np.testing.assert_array_equal(ellipses.picture(), whole)


def test_what_is_behind_or_damaged_is_not_drawn() -> None:
    behind = replace(some(), means=np.array([[0, 0, -4]], np.float32))
    assert not drawn(behind).any()
    assert not drawn(replace(some(), scales=np.full((1, 3), np.nan, np.float32))).any()
    beside = replace(some(), means=np.array([[40, 0, 4]], np.float32))
    assert not drawn(beside).any()


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Two views, of one exposure."""
    whole = sure(rendered(size=(48, 64), moves=((0, 0, 0, 0), (0.5, 0, 0, 0)))).scene
    return with_all(whole)


def test_a_view_is_drawn_as_its_image(scene: Scene) -> None:
    assert scene.gaussians is not None
    assert scene.images is not None
    first = scene.gaussians[np.arange(len(scene.gaussians)) < scene.depth[0].size]
    lens = Lens(scene.extrinsics[0], scene.intrinsics[0], scene.size)
    wrong = Lens(scene.extrinsics[1], scene.intrinsics[0], scene.size)
    image, near = scene.images[0].astype(float), scene.depth[0] > 0
    off = np.abs(seen_by(first, lens).picture() - image)[near].mean()
    assert off < 12
    assert np.abs(seen_by(first, wrong).picture() - image)[near].mean() > 1.5 * off


def test_a_film_goes_from_view_to_view(scene: Scene, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="av is not installed: it makes videos")
    export_scene(scene, tmp_path, ["gs_video"])
    data = (tmp_path / "gs_video/0000_through.mp4").read_bytes()
    with av.open(io.BytesIO(data)) as opened:
        frames = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    assert len(frames) == 25
    assert scene.gaussians is not None
    last = Lens(scene.extrinsics[1], scene.intrinsics[1], scene.size)
    assert np.abs(frames[-1].astype(int) - seen_by(scene.gaussians, last).picture()).mean() < 8


def test_the_path_begins_and_ends_at_views(scene: Scene) -> None:
    path = gs_video.through(scene)
    np.testing.assert_allclose(path[0].extrinsics, scene.extrinsics[0], atol=1e-9)
    np.testing.assert_allclose(path[-1].extrinsics, scene.extrinsics[1])
    for lens in path:
        turn = lens.extrinsics[:, :3]
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
    circle = gs_video.around(scene)
    np.testing.assert_allclose(circle[0].extrinsics, scene.extrinsics[0])
    assert len({tuple(lens.extrinsics[:, 3]) for lens in circle}) == len(circle)


def test_what_takes_long_or_cannot_be_is_refused(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="gs_video needs Gaussians, and the scene has none"):
        export_scene(replace(scene, gaussians=None), tmp_path, ["gs_video"])
    monkeypatch.setattr(gs_video, "_A_MINUTE", 1000)
    with pytest.raises(InputError, match=r"25 pictures of 6144 Gaussians would take about \d+ min"):
        export_scene(scene, tmp_path, ["gs_video"])
    with pytest.raises(InputError, match="25 pictures of 3072 Gaussians"):
        export_scene(scene, tmp_path, ["gs_video"], Options(every=2))
    monkeypatch.setattr(gs_video, "has_video", lambda: False)
    with pytest.raises(InputError, match="gs_video needs PyAV"):
        export_scene(scene, tmp_path, ["gs_video"])
    assert not list(tmp_path.iterdir())
