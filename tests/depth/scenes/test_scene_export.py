"""Formats, names and folders of exports, and what each format says."""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.errors import DepthFileError, InputError
from depth.scenes.export import DESCRIPTION, FORMATS, export_scene, formats_named
from depth.scenes.formats.depth_vis import colours
from depth.scenes.options import Options
from tests.support.depth_samples import MADE_BY
from tests.support.exported import read_glb, read_ply
from tests.support.rendered import rendered, sure
from tests.support.scene_readers import glb_points, read_colmap_bin
from tests.support.scene_samples import H, S, W, small, with_all

SCENE = with_all(sure(rendered(size=(24, 32))).scene)
QUICK = [name for name in FORMATS if name != "gs_video"]
FEW = Options(points=50, track_points=40)


def loaded(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_formats_are_joined_by_hyphens() -> None:
    assert formats_named("npz-glb-colmap") == ("npz", "glb", "colmap")
    assert formats_named("mini_npz-mini_npz") == ("mini_npz",)
    for wrong in ("", "npz-", "obj", "npz-gs", "NPZ"):
        with pytest.raises(InputError, match="export format .*: expected one or more of npz, mini"):
            formats_named(wrong)


def test_all_formats_at_once_and_the_description_last(tmp_path: Path) -> None:
    written = export_scene(SCENE, tmp_path / "new" / "folder", QUICK, FEW)
    names = {name for format_name in QUICK for name in FORMATS[format_name](SCENE, FEW)}
    folder = tmp_path / "new" / "folder"
    assert set(contents(folder)) == {*names, DESCRIPTION}
    assert [str(path.relative_to(folder)) for path in written][-1] == DESCRIPTION
    assert len(written) == len(names) + 1
    said = json.loads((folder / DESCRIPTION).read_text())
    assert said["files"].keys() == names
    for name, entry in said["files"].items():
        data = (folder / name).read_bytes()
        assert entry == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert (said["unit"], said["formats"]) == ("m", QUICK)
    assert said["provenance"]["model"] == MADE_BY.model
    assert said["options"]["points"] == 50
    assert said["cameras"][1]["name"] == "01.png"
    np.testing.assert_array_equal(said["cameras"][1]["extrinsics"], SCENE.extrinsics[1])
    np.testing.assert_array_equal(said["cameras"][1]["intrinsics"], SCENE.intrinsics[1])


def test_the_same_scene_gives_the_same_bytes_and_stays_as_it_is(tmp_path: Path) -> None:
    arrays = (SCENE.depth, SCENE.confidence, SCENE.sky, SCENE.images, SCENE.extrinsics)
    before = [hashlib.sha256(each.tobytes()).hexdigest() for each in arrays if each is not None]
    for folder in ("a", "b"):
        export_scene(SCENE, tmp_path / folder, QUICK, FEW)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    export_scene(SCENE, tmp_path / "c", QUICK, replace(FEW, seed=1))
    assert contents(tmp_path / "a") != contents(tmp_path / "c")
    after = [hashlib.sha256(each.tobytes()).hexdigest() for each in arrays if each is not None]
    assert before == after


def test_nothing_is_overwritten_without_being_asked(tmp_path: Path) -> None:
    (tmp_path / "points.ply").write_text("mine")
    with pytest.raises(InputError, match="points.ply: is there already; .* ask to overwrite"):
        export_scene(SCENE, tmp_path, ["npz", "ply"], FEW)
    assert contents(tmp_path) == {"points.ply": b"mine"}
    (tmp_path / "other.txt").write_text("mine")
    export_scene(SCENE, tmp_path, ["npz", "ply"], FEW, overwrite=True)
    assert read_ply((tmp_path / "points.ply").read_bytes())
    assert (tmp_path / "other.txt").read_text() == "mine"
    with pytest.raises(InputError, match="scene.json: is there already"):
        export_scene(SCENE, tmp_path, ["mini_npz"], FEW)


@pytest.mark.parametrize("name", ["ply", "glb", "colmap", "nerfstudio"])
def test_what_a_format_refuses_leaves_the_folder_as_it_is(name: str, tmp_path: Path) -> None:
    export_scene(SCENE, tmp_path, ["depth_vis"])
    before = contents(tmp_path)
    nothing = replace(SCENE, depth=np.zeros_like(SCENE.depth))
    with pytest.raises(InputError, match="no point is left"):
        export_scene(nothing, tmp_path, ["depth_vis", name], FEW, overwrite=True)
    plain = replace(SCENE, features={})
    with pytest.raises(InputError, match="feat_vis needs features"):
        export_scene(plain, tmp_path, [name, "feat_vis"], FEW, overwrite=True)
    assert contents(tmp_path) == before


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "points.ply").symlink_to(outside)
    with pytest.raises(InputError, match="is there already"):
        export_scene(SCENE, folder, ["ply"], FEW)
    export_scene(SCENE, folder, ["ply"], FEW, overwrite=True)
    assert outside.read_text() == "mine"


def test_a_disk_that_refuses_is_an_error_of_ours_and_leaves_no_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_scene(SCENE, tmp_path, ["npz", "ply"], FEW)
    right, calls = Path.replace, []

    def second_fails(path: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, os.strerror(28))
        return right(path, target)

    monkeypatch.setattr(Path, "replace", second_fails)
    with pytest.raises(DepthFileError, match="cannot write the scene: .*No space left"):
        export_scene(SCENE, tmp_path, ["npz", "ply"], replace(FEW, seed=1), overwrite=True)
    assert DESCRIPTION not in contents(tmp_path)
    assert set(contents(tmp_path)) == {"exports/npz/results.npz", "points.ply"}
    with pytest.raises(DepthFileError, match="cannot write the scene"):
        export_scene(SCENE, tmp_path / "points.ply", ["npz"], FEW)


def test_npz_has_upstream_s_keys_and_digits(tmp_path: Path) -> None:
    export_scene(SCENE, tmp_path, ["npz", "mini_npz"])
    full = loaded(tmp_path / "exports/npz/results.npz")
    mini = loaded(tmp_path / "exports/mini_npz/results.npz")
    assert list(full) == ["image", "depth", "conf", "extrinsics", "intrinsics"]
    assert list(mini) == ["depth", "conf", "extrinsics", "intrinsics"]
    assert {key: (str(value.dtype), value.shape) for key, value in full.items()} == {
        "image": ("uint8", (4, 24, 32, 3)),
        "depth": ("float32", (4, 24, 32)),
        "conf": ("float32", (4, 24, 32)),
        "extrinsics": ("float32", (4, 3, 4)),
        "intrinsics": ("float32", (4, 3, 3)),
    }
    np.testing.assert_array_equal(full["depth"], np.round(SCENE.depth, 6))
    np.testing.assert_array_equal(mini["depth"], np.round(SCENE.depth, 8))
    assert SCENE.confidence is not None
    np.testing.assert_array_equal(mini["conf"], np.round(SCENE.confidence, 2))
    np.testing.assert_array_equal(full["image"], SCENE.images)


def test_what_a_scene_has_not_is_left_out(tmp_path: Path) -> None:
    export_scene(small(), tmp_path, ["npz", "depth_vis", "colmap"])
    full = loaded(tmp_path / "exports/npz/results.npz")
    assert list(full) == ["depth", "extrinsics", "intrinsics"]
    assert not (tmp_path / "images").exists()
    picture = cv2.imread(str(tmp_path / "depth_vis/0001.jpg"))
    assert picture.shape == (H, W, 3)
    with pytest.raises(InputError, match="nerfstudio needs images"):
        export_scene(small(), tmp_path / "b", ["npz", "nerfstudio"])
    assert not (tmp_path / "b").exists()


def test_names_become_names_of_images(tmp_path: Path) -> None:
    scene = small(names=("a.JPG", "b.webp"), images=np.zeros((S, H, W, 3), np.uint8))
    export_scene(scene, tmp_path, ["colmap"])
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["a.JPG", "b.webp.png"]
    model = read_colmap_bin(tmp_path / "sparse/0")
    assert [image.name for image in model.images.values()] == ["a.JPG", "b.webp.png"]
    with pytest.raises(InputError, match="image files of two views"):
        export_scene(replace(scene, names=("a", "a.png")), tmp_path / "b", ["colmap"])


def test_a_name_with_a_space_is_in_binary_alone(tmp_path: Path) -> None:
    """COLMAP's text ends the name at the space, and so names another image."""
    scene = small(names=("a b.png", "c.png"), images=np.zeros((S, H, W, 3), np.uint8))
    export_scene(scene, tmp_path, ["colmap"])
    model = read_colmap_bin(tmp_path / "sparse/0")
    assert [image.name for image in model.images.values()] == ["a b.png", "c.png"]
    assert (tmp_path / "images/a b.png").exists()
    assert sorted(path.suffix for path in (tmp_path / "sparse/0").iterdir()) == [".bin"] * 3


def test_glb_without_cameras_has_points_alone(tmp_path: Path) -> None:
    export_scene(SCENE, tmp_path, ["glb"], replace(FEW, cameras=False))
    points, _, lines = glb_points((tmp_path / "scene.glb").read_bytes())
    assert (len(points), lines) == (50, [])
    assert (tmp_path / "scene.jpg").read_bytes() == (tmp_path / "depth_vis/0000.jpg").read_bytes()


def test_a_glb_is_in_the_frame_of_its_first_camera(tmp_path: Path) -> None:
    """glTF's axes, and the median of the points at the origin."""
    export_scene(SCENE, tmp_path, ["glb"])
    data = (tmp_path / "scene.glb").read_bytes()
    (scene,) = read_glb(data)[0]["scenes"]
    alignment = np.array(scene["extras"]["hf_alignment"])
    points = glb_points(data)[0] @ alignment[:3, :3].T + alignment[:3, 3]
    np.testing.assert_allclose(np.median(points, axis=0), 0, atol=1e-6)
    flipped = np.diag([1, -1, -1]) @ SCENE.extrinsics[0][:, :3]
    np.testing.assert_allclose(alignment[:3, :3], flipped, atol=1e-12)


def test_cameras_of_a_glb_are_pyramids_of_upstream_s_size(tmp_path: Path) -> None:
    export_scene(SCENE, tmp_path, ["glb"])
    points, _, lines = glb_points((tmp_path / "scene.glb").read_bytes())
    assert [each.shape for each in lines] == [(16, 3)] * 4
    rotation = SCENE.extrinsics[0][:, :3]
    low, high = np.percentile(points @ rotation.T, (5, 95), axis=0)
    for view, each in enumerate(lines):
        seen = each @ SCENE.extrinsics[view][:, :3].T + SCENE.extrinsics[view][:, 3]
        np.testing.assert_allclose(seen[0:8:2], 0, atol=1e-5)
        np.testing.assert_allclose(seen[1:8:2, 2], 0.03 * np.linalg.norm(high - low), rtol=1e-3)
        np.testing.assert_allclose(np.sign(seen[1:8:2, :2]), [[-1, -1], [1, -1], [1, 1], [-1, 1]])


def test_near_is_red_and_far_is_blue_and_no_depth_is_far() -> None:
    depth = np.broadcast_to(np.geomspace(1, 50, 100, dtype=np.float32), (4, 100)).copy()
    depth[0, 0] = 0
    found = colours(depth)
    near, far = found[1, 0], found[1, -1]
    np.testing.assert_array_equal(near, [158, 1, 66])
    np.testing.assert_array_equal(far, [94, 79, 162])
    np.testing.assert_array_equal(found[0, 0], far)
    assert colours(np.full((4, 4), 2, np.float32)).shape == (4, 4, 3)
    assert (colours(np.zeros((4, 4), np.float32)) == colours(np.zeros((4, 4), np.float32))[0]).all()


def test_colours_are_those_of_matplotlib() -> None:
    """Upstream draws with it: the table, the rounding and the ends are the same."""
    reason = "matplotlib is not installed: upstream draws depth with it"
    matplotlib = pytest.importorskip("matplotlib", reason=reason)
    depth = rendered(seed=3_000_005, kind="street", size=(40, 60)).scene.depth[0]
    assert (depth == 0).any(), "sky"
    inverse = np.where(depth > 0, 1 / np.where(depth > 0, depth, 1), 0).astype(np.float32)
    low, high = np.percentile(inverse[depth > 0], (2, 98))
    share = 1 - np.clip((inverse - low) / (high - low), 0, 1)
    expected = (matplotlib.colormaps["Spectral"](share)[..., :3] * 255.0).astype(np.uint8)
    np.testing.assert_array_equal(colours(depth), expected)


def test_sky_has_no_depth_in_nerfstudio(tmp_path: Path) -> None:
    sky = np.zeros((S, H, W), bool)
    sky[0, 0] = True
    scene = small(sky=sky, images=np.zeros((S, H, W, 3), np.uint8))
    export_scene(scene, tmp_path, ["nerfstudio"])
    first = np.load(io.BytesIO((tmp_path / "depths/a.jpg.npy").read_bytes()))
    np.testing.assert_array_equal(first[:2], [[0] * W, [2000] * W])
    assert first.dtype == np.float32
