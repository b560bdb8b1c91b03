"""Presets read back by the code of the tools they are for.

    MIDAS_UPSTREAM=MiDaS NUNIF_UPSTREAM=nunif NERFSTUDIO_UPSTREAM=nerfstudio OPEN3D_PLACE=FOLDER \
        make test ARGS=tests/depth/presets/test_consumers.py

The first three name checkouts. FOLDER is where `pip install --target FOLDER open3d==0.18.0
"numpy<2"` put Open3D. `-rP` shows the largest error of each.
"""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from depth.family import METRES, RELATIVE_INVERSE, SCENE_UNITS
from tests.support.consumers import (
    FOCAL,
    HEIGHT,
    SHOT,
    WIDTH,
    error_of,
    metres,
    needs,
    read_by,
    seen,
    written,
)
from tests.support.depth_samples import ramp, result


@needs("MIDAS_UPSTREAM")
def test_midas_reads_each_number(tmp_path: Path) -> None:
    found = result(ramp(HEIGHT, WIDTH), RELATIVE_INVERSE)
    read = read_by("pictures.midas", written(tmp_path, "midas", found)[0], "MIDAS_UPSTREAM")
    assert error_of("midas", read["depth"], found.depth.values) == 0
    assert read["scale"] == 1


@needs("NERFSTUDIO_UPSTREAM")
@pytest.mark.parametrize("kind", [METRES, SCENE_UNITS])
def test_nerfstudio_reads_units_within_half_a_code(tmp_path: Path, kind: str) -> None:
    found = result(ramp(HEIGHT, WIDTH), kind, None)
    read = read_by(
        "reconstruction.nerfstudio",
        written(tmp_path, "nerfstudio", found)[0],
        "NERFSTUDIO_UPSTREAM",
    )
    assert error_of("nerfstudio", read["depth"], found.depth.values) <= 0.000501


@needs("NERFSTUDIO_UPSTREAM")
def test_nerfstudio_reads_zero_where_there_is_no_depth(tmp_path: Path) -> None:
    file = written(tmp_path, "nerfstudio", metres())[0]
    read = read_by("reconstruction.nerfstudio", file, "NERFSTUDIO_UPSTREAM")["depth"]
    assert error_of("nerfstudio", read, seen(metres().depth.values)) <= 0.000501


@needs("NUNIF_UPSTREAM")
@pytest.mark.skipif(not hasattr(torch, "uint16"), reason="iw3's reader needs torch 2.3")
@pytest.mark.parametrize("kind", [RELATIVE_INVERSE, METRES])
def test_iw3_opens_the_export_and_reads_nearness(tmp_path: Path, kind: str) -> None:
    found = result(ramp(HEIGHT, WIDTH), kind, None)
    written(tmp_path, "iw3", found)
    read = read_by("pictures.iw3", tmp_path / "iw3_export.yml", "NUNIF_UPSTREAM")
    inverse = found.depth.values if kind == RELATIVE_INVERSE else 1 / found.depth.values
    nearness = (inverse - inverse.min()) / (inverse.max() - inverse.min())
    assert error_of("iw3", read["depth"], nearness) <= 0.501 / 65535
    assert read["names"].tolist() == ["b.png"]
    config = json.loads(str(read["config"]))
    assert (config["type"], config["mapper"], config["skip_mapper"]) == ("images", "none", False)


@needs("NUNIF_UPSTREAM")
@pytest.mark.skipif(not hasattr(torch, "uint16"), reason="iw3's reader needs torch 2.3")
def test_iw3_opens_a_sequence_as_a_video_with_its_rate(tmp_path: Path) -> None:
    found = result(ramp(HEIGHT, WIDTH), RELATIVE_INVERSE, None)
    shot = replace(SHOT, rate=Fraction(30_000, 1001))
    written(tmp_path, "iw3", found, "000000", shot)
    read = read_by("pictures.iw3", tmp_path / "iw3_export.yml", "NUNIF_UPSTREAM")
    assert read["names"].tolist() == ["000000.png"]
    config = json.loads(str(read["config"]))
    assert (config["type"], config["fps"], config["mapper"]) == ("video", "30000/1001", "none")


@needs("OPEN3D_PLACE")
def test_open3d_reads_metres_and_points(tmp_path: Path) -> None:
    file = written(tmp_path, "open3d", metres())[0]
    read = read_by("robots.open3d", file, "OPEN3D_PLACE")
    expected = seen(metres().depth.values)
    assert error_of("open3d", read["depth"], expected) <= 0.000501
    rows, columns = np.nonzero(expected)
    z = expected[rows, columns]
    x = (columns - (WIDTH - 1) / 2) / FOCAL * z
    y = (rows - (HEIGHT - 1) / 2) / FOCAL * z
    points = np.stack([x, y, z], axis=1)
    assert error_of("open3d points", read["points"], points) <= 0.000501


@pytest.mark.parametrize(("preset", "per_metre"), [("kitti", 256), ("nyu", 1000), ("tum", 5000)])
def test_opencv_reads_the_codes(tmp_path: Path, preset: str, per_metre: int) -> None:
    codes = cv2.imread(str(written(tmp_path, preset, metres())[0]), cv2.IMREAD_ANYDEPTH)
    read = codes.astype(np.float32) / per_metre
    worst = error_of(preset, read, seen(metres().depth.values))
    assert worst <= 0.501 / per_metre


def test_opencv_reads_what_ros_publishes(tmp_path: Path) -> None:
    read = cv2.imread(str(written(tmp_path, "ros", metres())[0]), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.float32
    assert np.isnan(read[0]).all()
    assert np.isnan(read[1, 1])
    assert error_of("ros", np.nan_to_num(read), seen(metres().depth.values)) == 0


def test_openexr_reads_one_channel(tmp_path: Path) -> None:
    import OpenEXR

    found = result(ramp(HEIGHT, WIDTH), METRES, None)
    with OpenEXR.File(str(written(tmp_path, "blender", found)[0]), separate_channels=True) as image:
        read = image.channels()["Y"].pixels
    assert error_of("blender", read, found.depth.values) == 0


def test_the_reader_of_3dgs_divides_by_two_to_the_sixteenth(tmp_path: Path) -> None:
    """The formula of graphdeco's utils/camera_utils.py, before its scale and offset."""
    found = result(ramp(HEIGHT, WIDTH), RELATIVE_INVERSE)
    read = cv2.imread(str(written(tmp_path, "3dgs", found)[0]), -1).astype(np.float32) / 2**16
    low, high = found.depth.values.min(), found.depth.values.max()
    expected = (found.depth.values - low) / (high - low)
    assert error_of("3dgs", read, expected) <= 1.6 / 65535, "at most 65535/65536, and half a code"
