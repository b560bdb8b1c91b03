"""`result.save(preset=)` of the Python pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.errors import InputError
from depth.maps.files import read_depth
from depth.presets.names import PRESET_NAMES
from serve.pipeline import FocalAsked
from tests.serve.test_pipeline_metres import KEY, PIXELS, made
from tests.support.manifests import METRIC_OUTPUTS, RELATIVE_OUTPUTS, made_manifest

METRIC = made_manifest([KEY], outputs=METRIC_OUTPUTS)
RELATIVE = made_manifest([KEY], outputs=RELATIVE_OUTPUTS)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_a_result_is_saved_for_every_tool(tmp_path: Path, name: str) -> None:
    with made(METRIC) as pipeline:
        written = pipeline(PIXELS).save(tmp_path / "a", preset=name, image=PIXELS[:, :, ::-1])
    assert all(path.is_file() for path in written)
    there = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert there == set(written), "nothing else, and no PNG of ours"
    said = json.loads((tmp_path / "a.json").read_text())
    assert said["preset"]["name"] == name


def test_a_preset_stands_beside_a_format_of_ours(tmp_path: Path) -> None:
    with made(METRIC) as pipeline:
        result = pipeline(PIXELS)
        result.save(tmp_path / "a", ["npz"], preset="nyu")
    codes = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_ANYDEPTH)
    values = result.depth.values
    assert np.abs(codes / 1000 - np.minimum(values, 65.535)).max() <= 0.000501
    assert np.array_equal(read_depth(tmp_path / "a.json").depth.values, values)


def test_a_camera_that_is_given_stands_in_the_files(tmp_path: Path) -> None:
    with made(METRIC) as pipeline:
        result = pipeline(PIXELS)
    result.save(tmp_path / "a", preset="open3d", camera=FocalAsked(focal_px=70.0))
    matrix = json.loads((tmp_path / "a.open3d.json").read_text())["intrinsic_matrix"]
    assert matrix == [70.0, 0.0, 0.0, 0.0, 70.0, 0.0, 27.5, 27.5, 1.0]
    result.save(tmp_path / "b", preset="open3d")
    assert "intrinsic_matrix" not in json.loads((tmp_path / "b.open3d.json").read_text())


@pytest.mark.parametrize(
    ("preset", "reason"),
    [("kitti", "--fit"), ("kity", "expected one of 3dgs"), ("iw3", "image beside the depth")],
)
def test_what_cannot_be_met_is_refused_and_nothing_is_written(
    tmp_path: Path, preset: str, reason: str
) -> None:
    with made(RELATIVE) as pipeline:
        result = pipeline(PIXELS)
    with pytest.raises(InputError, match=reason):
        result.save(tmp_path / "a", preset=preset)
    assert not list(tmp_path.iterdir())
