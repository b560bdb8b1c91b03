"""Readers that others wrote open the files. Each test skips without its reader."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.scenes.export import export_scene
from depth.scenes.options import Options
from depth.scenes.scene import METRE
from tests.support.rendered import Rendered, rendered
from tests.support.scene_readers import ply_points

_VALIDATE = """
const validator = require('gltf-validator');
const bytes = new Uint8Array(require('fs').readFileSync(process.argv[1]));
validator.validateBytes(bytes).then((report) => console.log(JSON.stringify(report)));
"""


@pytest.fixture(scope="module")
def room() -> Rendered:
    return rendered()


@pytest.fixture(scope="module")
def folder(room: Rendered, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("scene")
    options = Options(percentile=0, track_points=2000)
    export_scene(room.scene, place, ["ply", "glb", "colmap"], options)
    return place


def needs(name: str) -> Any:
    reason = f"{name} is not installed: a reader of scenes' files"
    return pytest.importorskip(name, reason=reason, exc_type=ImportError)


def world(room: Rendered) -> np.ndarray:
    """The renderer's points of all views, y down."""
    return np.concatenate([room.truth(view) for view in range(len(room.scene))]) * [1, -1, 1]


def test_trimesh_reads_the_points_and_cameras_of_a_glb(room: Rendered, folder: Path) -> None:
    trimesh = needs("trimesh")
    loaded = trimesh.load(str(folder / "scene.glb"), process=False)
    alignment = np.array(loaded.metadata["hf_alignment"])
    clouds = [g for g in loaded.geometry.values() if isinstance(g, trimesh.PointCloud)]
    lines = [g for g in loaded.geometry.values() if isinstance(g, trimesh.path.Path3D)]
    assert (len(clouds), len(lines)) == (1, len(room.scene))
    points = trimesh.transform_points(clouds[0].vertices, np.linalg.inv(alignment))
    np.testing.assert_allclose(points, world(room), atol=1e-5)
    np.testing.assert_array_equal(clouds[0].colors[:, :3], room.scene.images.reshape(-1, 3))


def test_trimesh_reads_the_points_of_a_ply(room: Rendered, folder: Path) -> None:
    found = needs("trimesh").load(str(folder / "points.ply"))
    np.testing.assert_allclose(found.vertices, world(room), atol=1e-5)


def test_plyfile_reads_the_points_of_a_ply(room: Rendered, folder: Path) -> None:
    vertex = needs("plyfile").PlyData.read(str(folder / "points.ply"))["vertex"]
    found = np.stack([vertex[axis] for axis in "xyz"], 1)
    np.testing.assert_allclose(found, world(room), atol=1e-5)
    colours = np.stack([vertex[name] for name in ("red", "green", "blue")], 1)
    np.testing.assert_array_equal(colours, room.scene.images.reshape(-1, 3))


def test_open3d_reads_the_points_of_a_ply(folder: Path) -> None:
    found = needs("open3d").io.read_point_cloud(str(folder / "points.ply"))
    np.testing.assert_allclose(np.asarray(found.points), ply_points(folder / "points.ply"))
    assert found.has_colors()


def test_the_validator_of_gltf_finds_nothing(folder: Path) -> None:
    node = shutil.which("node")
    words = [str(node), "-e", _VALIDATE, str(folder / "scene.glb")]
    if node is None or subprocess.run([node, "-e", "require('gltf-validator')"],
                                      capture_output=True, check=False).returncode:  # fmt: skip
        pytest.skip("npm's gltf-validator is not installed, or NODE_PATH does not name its folder")
    said = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    report = json.loads(said)
    assert report["issues"]["numErrors"] == report["issues"]["numWarnings"] == 0, report["issues"]
    assert report["info"]["drawCallCount"] == 5


@pytest.mark.parametrize("kind", ["bin", "txt"])
def test_pycolmap_reads_the_model(room: Rendered, folder: Path, kind: str, tmp_path: Path) -> None:
    pycolmap = needs("pycolmap")
    for path in (folder / "sparse/0").glob(f"*.{kind}"):
        shutil.copy(path, tmp_path)
    found = pycolmap.Reconstruction(str(tmp_path))
    assert (found.num_images(), len(found.points3D)) == (len(room.scene), 2000)
    for number, image in found.images.items():
        assert image.name == room.scene.names[number - 1]
        pose = image.cam_from_world() if callable(image.cam_from_world) else image.cam_from_world
        np.testing.assert_allclose(pose.matrix(), room.scene.extrinsics[number - 1], atol=1e-6)
    assert max(point.track.length() for point in found.points3D.values()) == len(room.scene)
    assert found.compute_mean_reprojection_error() < 1e-3


def test_a_unit_is_in_the_files(room: Rendered, folder: Path, tmp_path: Path) -> None:
    """Metres, or nothing: in the GLB, the PLY and the description."""
    without = replace(room.scene, unit=None)
    export_scene(without, tmp_path, ["ply", "glb"], Options(points=10))
    for place, unit in ((folder, METRE), (tmp_path, None)):
        said = json.dumps(unit).encode()
        assert b"comment unit " + said + b"\n" in (place / "points.ply").read_bytes()[:4000]
        assert b'"unit":' + said in (place / "scene.glb").read_bytes()[:4000]
        assert json.loads((place / "scene.json").read_text())["unit"] == unit
