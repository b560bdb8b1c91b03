"""The size of each format: of the source images, or of the scene's own maps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.errors import InputError
from depth.scenes.export import DESCRIPTION, export_scene
from depth.scenes.options import OWN, SOURCE, Options
from depth.scenes.scene import Scene, Source
from tests.support.rendered import rendered, sure
from tests.support.scene_readers import read_colmap_bin, read_nerfstudio
from tests.support.scene_samples import source

SCENE = sure(rendered(size=(24, 32))).scene
FEW = Options(points=50, track_points=40)


def loaded(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def sourced() -> Scene:
    def load(size: tuple[int, int]) -> np.ndarray:
        return np.full((*size, 3), 200, np.uint8)

    sizes = [(48, 64), (36, 48), (48, 64), (48, 64)]
    return replace(SCENE, sources=tuple(Source(size, lambda s=size: load(s)) for size in sizes))


def test_files_have_the_size_of_the_sources(tmp_path: Path) -> None:
    scene = sourced()
    export_scene(scene, tmp_path, ["colmap", "nerfstudio", "depth_vis"], FEW)
    model = read_colmap_bin(tmp_path / "sparse/0")
    assert [model.cameras[camera][:2] for camera in (1, 2)] == [(64, 48), (48, 36)]
    np.testing.assert_allclose(model.cameras[2][2][2:], [24, 18], rtol=1e-12)
    for view, (height, width) in ((1, (48, 64)), (2, (36, 48))):
        image = model.images[view]
        assert (image.places.min(0) > 0).all()
        assert (image.places.max(0) < [width, height]).all()
        assert (image.places.max(0) > [width / 2, height / 2]).all()
    frames, _ = read_nerfstudio(tmp_path)
    for frame, size in zip(frames, [(48, 64), (36, 48), (48, 64), (48, 64)]):
        assert frame.size == size
        picture = cv2.imread(str(frame.image))
        assert picture.shape[:2] == size
        assert (picture == 200).all()
    assert cv2.imread(str(tmp_path / "depth_vis/0001.jpg")).shape == (24, 64, 3)
    export_scene(scene, tmp_path / "b", ["depth_vis"], Options(size=SOURCE))
    assert cv2.imread(str(tmp_path / "b/depth_vis/0001.jpg")).shape == (36, 96, 3)


def test_each_format_has_a_size_of_its_own(tmp_path: Path) -> None:
    scene = sourced()
    export_scene(scene, tmp_path, ["npz", "colmap"], FEW)
    assert loaded(tmp_path / "exports/npz/results.npz")["image"].shape == (4, 24, 32, 3)
    model = read_colmap_bin(tmp_path / "sparse/0")
    assert [camera[:2] for camera in model.cameras.values()][:2] == [(64, 48), (48, 36)]
    said = json.loads((tmp_path / DESCRIPTION).read_text())
    assert said["sizes"] == {"npz": "own", "colmap": "source"}
    camera = said["cameras"][1]
    assert (camera["width_px"], camera["height_px"]) == (48, 36)
    assert camera["maps"]["intrinsics"] == scene.intrinsics[1].tolist()
    assert (camera["maps"]["width_px"], camera["maps"]["height_px"]) == (32, 24)
    np.testing.assert_allclose(camera["intrinsics"][0], 1.5 * scene.intrinsics[1][0])
    export_scene(scene, tmp_path / "b", ["npz", "colmap"], replace(FEW, size=OWN))
    said = json.loads((tmp_path / "b" / DESCRIPTION).read_text())
    assert said["cameras"][1]["width_px"] == 32
    assert said["sizes"] == {"npz": "own", "colmap": "own"}


def test_npz_needs_one_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="npz holds views of one size.*choose the size 'own'"):
        export_scene(sourced(), tmp_path, ["npz"], Options(size=SOURCE))
    export_scene(sourced(), tmp_path, ["npz"])
    assert loaded(tmp_path / "exports/npz/results.npz")["depth"].shape == (4, 24, 32)
    same = replace(SCENE, sources=(source((48, 64)),) * 4)
    export_scene(same, tmp_path / "b", ["npz"], Options(size=SOURCE))
    found = loaded(tmp_path / "b/exports/npz/results.npz")
    assert {found[key].shape[1:3] for key in ("image", "depth", "conf")} == {(48, 64)}
    np.testing.assert_allclose(found["intrinsics"][:, :2], 2 * SCENE.intrinsics[:, :2], rtol=1e-6)
