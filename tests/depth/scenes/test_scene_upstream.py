"""The files of upstream's own exporters, made of the same scene, against ours.

    DEPTH_ANYTHING_3_UPSTREAM=../Depth-Anything-3 python -m pytest tests/depth/scenes

Needs a checkout, and the packages that upstream's exporters import.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.scenes.export import export_scene
from depth.scenes.scene import Scene
from tests.support.places import ROOT
from tests.support.rendered import rendered, sure
from tests.support.scene_readers import glb_points

UPSTREAM = os.environ.get("DEPTH_ANYTHING_3_UPSTREAM", "")
NEEDED = [name for name in ("trimesh", "scipy", "imageio", "matplotlib") if find_spec(name) is None]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not UPSTREAM, reason="DEPTH_ANYTHING_3_UPSTREAM names no checkout"),
    pytest.mark.skipif(bool(NEEDED), reason=f"{', '.join(NEEDED)}: upstream's exporters need it"),
]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return sure(rendered(size=(42, 56))).scene


@pytest.fixture(scope="module")
def folders(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Ours and upstream's."""
    ours, theirs = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("theirs")
    export_scene(scene, ours, ["npz", "mini_npz", "glb"])
    arrays = {"depth": scene.depth, "conf": scene.confidence, "images": scene.images}
    cameras = {name: getattr(scene, name).astype(np.float32) for name in CAMERAS}
    np.savez(theirs / "scene.npz", **arrays, **cameras)
    script = ROOT / "tests/support/upstream_exports.py"
    words = [sys.executable, str(script), UPSTREAM, str(theirs / "scene.npz"), str(theirs)]
    subprocess.run(words, check=True)
    return ours, theirs


CAMERAS = ("extrinsics", "intrinsics")


@pytest.mark.parametrize("name", ["npz", "mini_npz"])
def test_npz_is_the_same(folders: tuple[Path, Path], name: str) -> None:
    with (
        np.load(folders[0] / f"exports/{name}/results.npz") as ours,
        np.load(folders[1] / f"exports/{name}/results.npz") as theirs,
    ):
        assert ours.files == theirs.files
        for key in ours.files:
            assert ours[key].dtype == theirs[key].dtype
            np.testing.assert_array_equal(ours[key], theirs[key])


def test_pictures_are_the_same_but_for_the_jpeg(folders: tuple[Path, Path]) -> None:
    names = sorted(path.name for path in (folders[0] / "depth_vis").iterdir())
    assert names == sorted(path.name for path in (folders[1] / "depth_vis").iterdir())
    for name in (*(f"depth_vis/{name}" for name in names), "scene.jpg"):
        ours, theirs = (cv2.imread(str(folder / name)).astype(int) for folder in folders)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).mean() < 3


def test_a_glb_has_the_same_points_half_a_pixel_on(
    folders: tuple[Path, Path], scene: Scene
) -> None:
    """Upstream takes a pixel's corner for its centre; all else is the same."""
    import trimesh

    ours, colours, lines = glb_points((folders[0] / "scene.glb").read_bytes())
    loaded = trimesh.load(str(folders[1] / "scene.glb"), process=False)
    alignment = np.array(loaded.metadata["hf_alignment"])
    (cloud,) = (g for g in loaded.geometry.values() if isinstance(g, trimesh.PointCloud))
    theirs = trimesh.transform_points(cloud.vertices, np.linalg.inv(alignment))
    assert len(ours) == len(theirs)
    np.testing.assert_array_equal(colours, cloud.colors)
    assert len(lines) == len(loaded.geometry) - 1
    kept = scene.confidence >= np.percentile(scene.confidence, 40)
    views, rows, columns = np.nonzero(kept)
    z = scene.depth[kept]
    step = np.zeros((len(z), 3))
    for axis in (0, 1):
        step[:, axis] = 0.5 / scene.intrinsics[views, axis, axis] * z
    turned = np.einsum("nij,ni->nj", scene.extrinsics[views][:, :, :3], step)
    np.testing.assert_allclose(ours - theirs, turned, atol=2e-5)


def test_a_glb_has_the_same_frame(folders: tuple[Path, Path], scene: Scene) -> None:
    import trimesh

    alignments = [
        np.array(trimesh.load(str(folder / "scene.glb")).metadata["hf_alignment"])
        for folder in folders
    ]
    np.testing.assert_allclose(alignments[0][:, :3], alignments[1][:, :3], atol=1e-6)
    half = 0.5 / scene.intrinsics[0, 0, 0] * float(scene.depth.max())
    np.testing.assert_allclose(alignments[0][:, 3], alignments[1][:, 3], atol=2 * half)
