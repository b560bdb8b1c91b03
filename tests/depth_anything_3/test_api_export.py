"""`export_dir` and `export_format` of upstream's Python API: files of a scene."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from depth.errors import InputError
from depth.scenes.inputs import Place
from depth.scenes.options import Options
from depth_anything_3.api import DepthAnything3
from depth_anything_3.export import Made, export_asked, scene_of
from tests.support.da3_pictures import NESTED, SIDE, SIZES, cameras, install, model, pictures
from tests.support.scene_readers import read_colmap_bin

MADE = Made("da3-small", "untrained", "", (), scaled=False)


@pytest.fixture(scope="module")
def patched() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        yield


@pytest.fixture(scope="module")
def made(
    patched: None,  # noqa: ARG001 - a fixture
    tmp_path_factory: pytest.TempPathFactory,
) -> DepthAnything3:
    return model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def nested(
    patched: None,  # noqa: ARG001 - a fixture
    tmp_path_factory: pytest.TempPathFactory,
) -> DepthAnything3:
    return model(tmp_path_factory.mktemp("nested"), NESTED)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    found = []
    for name, pixels in zip(("a.png", "b.png", "c.png"), pictures(3)):
        Image.fromarray(pixels).save(tmp_path / name)
        found.append(str(tmp_path / name))
    return found


def test_files_have_the_prediction(made: DepthAnything3, paths: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = "npz-mini_npz-glb-ply-depth_vis"
    found = made.inference(
        paths, process_res=SIDE, export_dir=out, export_format=names, num_max_points=50
    )
    with np.load(out / "exports/npz/results.npz") as npz:
        assert sorted(npz) == ["conf", "depth", "extrinsics", "image", "intrinsics"]
        assert np.array_equal(npz["image"], found.processed_images)
        assert np.allclose(npz["depth"], found.depth, atol=1e-6)
        assert np.allclose(npz["intrinsics"], found.intrinsics)
        assert np.allclose(npz["extrinsics"], found.extrinsics)
    for name in ("exports/mini_npz/results.npz", "scene.glb", "points.ply", "depth_vis/0002.jpg"):
        assert (out / name).stat().st_size > 0
    said = json.loads((out / "scene.json").read_text())
    assert said["unit"] is None
    assert [camera["name"] for camera in said["cameras"]] == ["a.png", "b.png", "c.png"]
    assert (said["options"]["points"], said["options"]["size"]) == (50, "default")
    assert set(said["sizes"].values()) == {"own"}
    provenance = said["provenance"]
    assert (provenance["model"], provenance["weights"]) == ("da3-small", "model.safetensors")
    assert len(provenance["weights_sha256"]) == 64


def test_without_a_format_it_is_mini_npz(made: DepthAnything3, tmp_path: Path) -> None:
    made.inference(pictures(2), process_res=SIDE, export_dir=str(tmp_path / "out"))
    assert (tmp_path / "out/exports/mini_npz/results.npz").is_file()


def test_a_colmap_model_has_the_size_of_the_images(
    made: DepthAnything3, paths: list[str], tmp_path: Path
) -> None:
    placed, lenses = cameras(pictures(3))
    out = tmp_path / "out"
    options: dict[str, Any] = {"process_res": SIDE, "process_res_method": "upper_bound_crop"}
    made.inference(paths, placed, lenses, export_dir=out, export_format="colmap", **options)
    found = read_colmap_bin(out / "sparse/0")
    for view, (height, width) in enumerate(SIZES[:3]):
        wide, high, lens = found.cameras[view + 1]
        assert (wide, high) == (width, height)
        k = lenses[view]
        assert np.allclose(lens, [k[0, 0], k[1, 1], k[0, 2], k[1, 2]], atol=1e-3)
        image = found.images[view + 1]
        assert image.name == Path(paths[view]).name
        assert np.allclose(image.extrinsics, placed[view, :3], atol=1e-5)
        with Image.open(out / "images" / image.name) as written:
            assert np.array_equal(np.asarray(written), pictures(3)[view])


@pytest.mark.parametrize("aligned", [True, False])
def test_the_unit_is_metres_unless_the_caller_gives_the_scale(
    aligned: bool, nested: DepthAnything3, tmp_path: Path
) -> None:
    images = pictures(3)
    placed, lenses = cameras(images)
    options: dict[str, Any] = {"process_res": SIDE, "export_format": "ply"}
    nested.inference(images, placed, lenses, aligned, export_dir=tmp_path / "out", **options)
    said = json.loads((tmp_path / "out/scene.json").read_text())
    assert said["unit"] == (None if aligned else "m")
    assert said["provenance"]["steps"] == ["metric_scale(seed=0)", "align_to_given_cameras"]


def test_nothing_is_overwritten_and_the_refusal_comes_first(
    made: DepthAnything3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (out / "depth_vis").mkdir(parents=True)
    (out / "mine.txt").write_text("mine")
    options: dict[str, Any] = {"process_res": SIDE, "export_dir": out}
    made.inference(pictures(1), export_format="depth_vis", **options)
    assert (out / "mine.txt").read_text() == "mine"
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    monkeypatch.setattr("depth_anything_3.api.seen", None)  # the network does not run
    with pytest.raises(InputError, match="has a scene already, and nothing is overwritten"):
        made.inference(pictures(2), **options)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gs_ply", "'gs_ply' needs infer_gs=True"),
        ("mini_npz-gs_video", "'gs_video' needs infer_gs=True"),
        ("gs", "export format 'gs': expected one or more of npz, mini_npz"),
        ("feat_vis", "'feat_vis' needs export_feat_layers, numbers of blocks"),
        ("obj", "export format 'obj': expected one or more of npz, mini_npz"),
    ],
)
def test_formats_are_refused_before_an_image_is_read(
    name: str, text: str, made: DepthAnything3, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=text):
        made.inference(["/nothing.png"], export_dir=tmp_path / "out", export_format=name)
    assert not (tmp_path / "out").exists()


def test_options_of_formats_are_upstreams_or_refused(tmp_path: Path) -> None:
    filters = {"glb": {"filter_black_bg": True, "filter_white_bg": False}}
    found = export_asked(tmp_path, "glb", Options(percentile=7), filters)
    assert (found.options.black, found.options.white, found.options.percentile) == (False, True, 7)
    more = {"feat_vis": {"fps": 5}, "gs_ply": {"gs_views_interval": None}}
    found = export_asked(tmp_path, "glb", Options(), more, views=30)
    assert (found.options.fps, found.options.every) == (5, 2)
    for wrong in ({"glb": {"camera_size": 1}}, {"gs_ply": {"filter_black_bg": True}}):
        with pytest.raises(InputError, match="is not done; there are glb: filter_black_bg, glb: "):
            export_asked(tmp_path, "glb", Options(), wrong)
    with pytest.raises(InputError, match="percentile 101"):
        export_asked(tmp_path, "glb", Options(percentile=101), {})


def test_features_become_pictures(made: DepthAnything3, tmp_path: Path) -> None:
    options: dict[str, Any] = {"process_res": SIDE, "export_dir": tmp_path / "out"}
    made.inference(
        pictures(2), export_format="feat_vis", export_feat_layers=[1, 3], feat_vis_fps=9, **options
    )
    names = {path.name for path in (tmp_path / "out/feat_vis").iterdir() if path.is_dir()}
    assert names == {"feat_layer_1", "feat_layer_3"}
    said = json.loads((tmp_path / "out/scene.json").read_text())
    assert said["options"]["fps"] == 9
    assert "feat_vis/feat_layer_3/000001.jpg" in said["files"]


def test_a_prediction_without_cameras_is_no_scene(made: DepthAnything3) -> None:
    images = pictures(1)
    found = made.inference(images, process_res=SIDE)
    place = Place(SIZES[0], (1.0, 1.0))
    assert scene_of(found, images, [place], MADE).names == ("image.png",)
    with pytest.raises(InputError, match="da3-small gives no cameras, which a scene needs"):
        scene_of(replace(found, extrinsics=None), images, [place], MADE)
