"""Files of scenes whose depth and cameras are the renderer's truth: what they hold is the truth.

Points are read from the file and projected into *another* view with the renderer's own arithmetic.
They are where the renderer has them, within 0.5 px and 0.5 % in depth; what another thing hides is
left out. A wrong convention in the export makes each of these tests fail.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from depth.scenes import geometry, points
from depth.scenes.export import export_scene
from depth.scenes.formats import colmap, nerfstudio
from depth.scenes.options import Options
from tests.support.rendered import Rendered, rendered
from tests.support.scene_readers import (
    Model,
    glb_points,
    ply_points,
    read_colmap_bin,
    read_colmap_txt,
    read_nerfstudio,
)

PX, DEPTH = 0.5, 0.005
MIRROR = np.array([1.0, -1.0, 1.0])  # the renderer's world has y up
EVERYTHING = Options(percentile=0, track_points=3000)


@pytest.fixture(scope="module")
def room() -> Rendered:
    found = rendered()
    assert found.scene.depth.min() > 0, "walls everywhere: every pixel is a point"
    return found


def off(found: Rendered, values: np.ndarray) -> tuple[float, float]:
    """How far points [S*H*W,3] of all pixels are off in other views: px, and share of depth."""
    px, depth, compared = 0.0, 0.0, 0
    count, each = len(found.scene), found.scene.depth[0].size
    assert values.shape == (count * each, 3)
    for view in range(count):
        truth, read = found.truth(view), values[view * each :][:each] * MIRROR
        for other in (other for other in range(count) if other != view):
            places, z = found.seen(other, truth)
            seen = (z > 0) & (places > 0).all(1) & (places < found.scene.size[::-1]).all(1)
            seen[seen] = z[seen] <= found.depth_at(other, places[seen]) * (1 + DEPTH)
            compared += np.count_nonzero(seen)
            found_places, found_z = found.seen(other, read[seen])
            px = max(px, float(np.linalg.norm(found_places - places[seen], axis=1).max()))
            depth = max(depth, float(np.abs(found_z / z[seen] - 1).max()))
    assert compared > count * (count - 1) * each / 2, "most points are seen by other views"
    return px, depth


def check_points(found: Rendered, values: np.ndarray) -> None:
    px, depth = off(found, values)
    assert px < PX
    assert depth < DEPTH


def check_model(found: Rendered, model: Model) -> None:
    """Cameras are those of the scene; observations are where the points are, and in their depth."""
    for view in range(len(found.scene)):
        image = model.images[view + 1]
        width, height, parameters = model.cameras[image.camera]
        assert (height, width) == found.scene.size
        np.testing.assert_allclose(image.extrinsics, found.scene.extrinsics[view], atol=1e-6)
        matrix = found.scene.intrinsics[view]
        np.testing.assert_allclose(parameters, matrix[[0, 1, 0, 1], [0, 1, 2, 2]])
        world = np.array([model.points[point][0] for point in image.points.tolist()])
        places, z = found.seen(view, world * MIRROR)
        assert np.linalg.norm(places - image.places, axis=1).max() < PX
        wrong = np.abs(z / found.depth_at(view, image.places) - 1) > DEPTH
        assert wrong.mean() < 0.01, "beside edges of things"
    lengths = [len(track) for _, _, track in model.points.values()]
    assert max(lengths) == len(found.scene)
    assert sum(length >= 3 for length in lengths) > len(lengths) / 2


def check_ply(found: Rendered, folder: Path) -> None:
    export_scene(found.scene, folder, ["ply"], EVERYTHING)
    check_points(found, ply_points(folder / "points.ply"))


def check_glb(found: Rendered, folder: Path) -> None:
    export_scene(found.scene, folder, ["glb"], EVERYTHING)
    values, colours, lines = glb_points((folder / "scene.glb").read_bytes())
    check_points(found, values)
    np.testing.assert_array_equal(colours[:, :3], found.scene.images.reshape(-1, 3))
    for camera, drawn in zip(found.cameras, lines):
        np.testing.assert_allclose(drawn[0] * MIRROR, camera.position, atol=1e-5)


def check_colmap(found: Rendered, folder: Path) -> None:
    export_scene(found.scene, folder, ["colmap"], EVERYTHING)
    check_model(found, read_colmap_bin(folder / "sparse/0"))


def check_nerfstudio(found: Rendered, folder: Path) -> None:
    export_scene(found.scene, folder, ["nerfstudio"], EVERYTHING)
    frames, cloud = read_nerfstudio(folder)
    check_points(found, np.concatenate([frame.points() for frame in frames]))
    check_points(found, ply_points(cloud))


CHECKS = [check_ply, check_glb, check_colmap, check_nerfstudio]
Check = Callable[[Rendered, Path], None]


@pytest.mark.parametrize("check", CHECKS)
def test_what_a_file_holds_is_where_it_is(check: Check, room: Rendered, tmp_path: Path) -> None:
    check(room, tmp_path)


def test_the_files_are_closer_than_asked(room: Rendered, tmp_path: Path) -> None:
    """The limits are for readers of predictions; the truth comes back to float32's digits."""
    export_scene(room.scene, tmp_path, ["ply"], EVERYTHING)
    px, depth = off(room, ply_points(tmp_path / "points.ply"))
    assert px < 1e-3
    assert depth < 1e-5


def half_a_pixel(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(geometry, "HALF_PX", 0.0)


def inverse_cameras(patch: pytest.MonkeyPatch) -> None:
    _plant(patch, lambda extrinsics: geometry.camera_to_world(extrinsics)[:3])


def y_up(patch: pytest.MonkeyPatch) -> None:
    _plant(patch, lambda extrinsics: MIRROR[:, np.newaxis] * extrinsics)


def _plant(patch: pytest.MonkeyPatch, wrong: Callable[[np.ndarray], np.ndarray]) -> None:
    right = points.to_world
    patch.setattr(points, "to_world", lambda places, z, k, e: right(places, z, k, wrong(e)))


@pytest.mark.parametrize("fault", [half_a_pixel, inverse_cameras, y_up])
@pytest.mark.parametrize("check", CHECKS)
def test_a_wrong_convention_is_found(
    check: Check,
    fault: Callable[[pytest.MonkeyPatch], None],
    room: Rendered,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        check(room, tmp_path)


def test_wrong_cameras_in_a_file_are_found(
    room: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(nerfstudio, "OPENGL", np.eye(4))
        with pytest.raises(AssertionError):
            check_nerfstudio(room, tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(colmap, "quaternion", lambda rotation: geometry.quaternion(rotation.T))
        with pytest.raises(AssertionError):
            check_colmap(room, tmp_path / "b")


def npz_points(path: Path, half: float) -> np.ndarray:
    """World points [S*H*W,3] by the arrays' own cameras; px are counted from `half`."""
    with np.load(path) as file:
        depth, cameras, matrices = file["depth"], file["extrinsics"], file["intrinsics"]
    x, y = np.meshgrid(*(np.arange(side) + half for side in depth.shape[:0:-1]))
    found = []
    for z, camera, matrix in zip(depth.astype(np.float64), cameras, matrices):
        rays = np.linalg.inv(matrix) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
        found.append(((rays * z.ravel()).T - camera[:, 3]) @ camera[:, :3])
    return np.concatenate(found)


def test_arrays_are_where_they_are(room: Rendered, tmp_path: Path) -> None:
    export_scene(room.scene, tmp_path, ["mini_npz"])
    path = tmp_path / "exports/mini_npz/results.npz"
    check_points(room, npz_points(path, 0.5))
    with pytest.raises(AssertionError):
        check_points(room, npz_points(path, 0.0))


def test_text_and_binary_say_the_same(room: Rendered, tmp_path: Path) -> None:
    export_scene(room.scene, tmp_path, ["colmap"], Options(track_points=200))
    binary, text = (read(tmp_path / "sparse/0") for read in (read_colmap_bin, read_colmap_txt))
    assert binary.images.keys() == text.images.keys() == {1, 2, 3, 4}
    for number, image in binary.images.items():
        assert (image.name, image.camera) == (text.images[number].name, text.images[number].camera)
        np.testing.assert_array_equal(image.extrinsics, text.images[number].extrinsics)
        np.testing.assert_array_equal(image.places, text.images[number].places)
        np.testing.assert_array_equal(image.points, text.images[number].points)
    assert str(binary.cameras) == str(text.cameras)
    assert str(binary.points) == str(text.points)
    check_model(room, text)


def test_a_track_and_its_images_name_each_other(room: Rendered, tmp_path: Path) -> None:
    export_scene(room.scene, tmp_path, ["colmap"], Options(track_points=200))
    model = read_colmap_bin(tmp_path / "sparse/0")
    assert len(model.points) == 200
    pairs = {
        (number, view, place)
        for number, (_, _, track) in model.points.items()
        for view, place in track
    }
    assert pairs == {
        (point, view, place)
        for view, image in model.images.items()
        for place, point in enumerate(image.points.tolist())
    }
