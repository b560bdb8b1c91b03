"""`export_dir` of models of one view: formats without cameras, or with an assumed angle of view."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from depth.errors import InputError
from depth_anything_3.api import DepthAnything3
from depth_anything_3.mono import config as mono
from tests.support import da3
from tests.support.da3_pictures import SIZES, pictures
from tests.support.exported import read_ply
from tests.support.scene_readers import read_colmap_bin

SIDE = 56
METRIC, MONO = "da3metric-large", "da3mono-large"


@pytest.fixture(scope="module")
def models() -> dict[str, DepthAnything3]:
    rows = {MONO: da3.TINY_MONO, METRIC: da3.TINY_METRIC}
    with pytest.MonkeyPatch.context() as patch:
        for name, row in rows.items():
            patch.setitem(mono.MONO_MODELS, name, row)
        made = {name: DepthAnything3(name) for name in rows}
    for name, model in made.items():
        model.network.load_state_dict(da3.weights(rows[name]))
    return made


def loaded(path: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(path) as file:
        return dict(file)


def said(folder: Path) -> Any:
    return json.loads((folder / "scene.json").read_text())


@pytest.mark.parametrize("name", [MONO, METRIC])
def test_several_images_have_depth_and_no_cameras(
    name: str, models: dict[str, DepthAnything3], tmp_path: Path
) -> None:
    images = [picture[:56, :80] for picture in pictures(3)]
    names = "npz-mini_npz-depth_vis"
    found = models[name].inference(
        images, process_res=SIDE, export_dir=tmp_path / "out", export_format=names
    )
    npz = loaded(tmp_path / "out/exports/npz/results.npz")
    assert sorted(npz) == ["depth", "image"]
    np.testing.assert_array_equal(npz["depth"], np.round(found.depth, 6))
    assert sorted(loaded(tmp_path / "out/exports/mini_npz/results.npz")) == ["depth"]
    assert (tmp_path / "out/depth_vis/0002.jpg").stat().st_size > 0
    about = said(tmp_path / "out")
    assert about["unit"] is None
    assert about["assumed"] == (
        "the angle of view: 60 degrees horizontally; the places of the cameras: each image is a "
        "world of its own"
    )
    assert about["provenance"]["steps"] == ["sky_to_far(seed=0)"]


def test_one_image_is_a_scene_of_an_assumed_angle_of_view(
    models: dict[str, DepthAnything3], tmp_path: Path
) -> None:
    found = models[MONO].inference(
        pictures(1), process_res=SIDE, export_dir=tmp_path / "out", export_format="ply-glb-colmap"
    )
    about = said(tmp_path / "out")
    assert about["assumed"] == "the angle of view: 60 degrees horizontally"
    height, width = SIZES[0]
    camera = about["cameras"][0]
    expected = width / 2 / np.tan(np.radians(30))
    np.testing.assert_allclose(camera["intrinsics"][0], [expected, 0, width / 2])
    np.testing.assert_allclose(camera["intrinsics"][1], [0, expected, height / 2])
    assert camera["extrinsics"] == np.eye(3, 4).tolist()
    _, points = read_ply((tmp_path / "out/points.ply").read_bytes())
    assert found.sky is not None
    assert len(points) == np.count_nonzero(~found.sky)
    assert list(read_colmap_bin(tmp_path / "out/sparse/0").cameras) == [1]


def test_intrinsics_make_metres_of_a_metric_model(
    models: dict[str, DepthAnything3], tmp_path: Path
) -> None:
    height, width = SIZES[0]
    lens = np.array([[[100.0, 0, 40], [0, 120.0, 30], [0, 0, 1]]])
    found = models[METRIC].inference(
        pictures(1),
        intrinsics=lens,
        process_res=SIDE,
        export_dir=tmp_path / "out",
        export_format="npz",
    )
    about, npz = said(tmp_path / "out"), loaded(tmp_path / "out/exports/npz/results.npz")
    rows, columns = found.depth.shape[1:]
    focal = (100 * columns / width + 120 * rows / height) / 2
    np.testing.assert_allclose(npz["depth"], found.depth * focal / 300, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(npz["intrinsics"][0, 0, 2], 40 * columns / width, rtol=1e-6)
    assert (about["unit"], "assumed" in about) == ("m", False)
    assert about["provenance"]["steps"] == ["sky_to_far(seed=0)", "metres_from_focal"]


def test_intrinsics_say_nothing_of_relative_depth(
    models: dict[str, DepthAnything3], tmp_path: Path
) -> None:
    lens = np.array([[[100.0, 0, 40], [0, 100.0, 30], [0, 0, 1]]])
    models[MONO].inference(
        pictures(1), intrinsics=lens, process_res=SIDE, export_dir=tmp_path / "out"
    )
    assert said(tmp_path / "out")["unit"] is None


def test_what_cannot_be_is_refused_before_the_network_runs(
    models: dict[str, DepthAnything3], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DepthAnything3, "forward", None)
    options: dict[str, Any] = {"process_res": SIDE, "export_dir": tmp_path / "out"}
    text = "export_format 'glb' needs cameras in one space, which da3mono-large does not give for 2"
    with pytest.raises(InputError, match=text):
        models[MONO].inference([pictures(1)[0]] * 2, export_format="npz-glb", **options)
    with pytest.raises(InputError, match="a focal length is not over 0 px"):
        models[MONO].inference(pictures(1), intrinsics=np.zeros((1, 3, 3)), **options)
    with pytest.raises(InputError, match=r"intrinsics \(2, 3, 3\): expected \(1,3,3\)"):
        models[MONO].inference(pictures(1), intrinsics=np.ones((2, 3, 3)), **options)
    with pytest.raises(InputError, match="'gs_ply' needs infer_gs=True"):
        models[MONO].inference(pictures(1), export_format="gs_ply", **options)
    assert not (tmp_path / "out").exists()
