"""Presets read back by the code of the tools they are for.

    MIDAS_UPSTREAM=MiDaS NUNIF_UPSTREAM=nunif NERFSTUDIO_UPSTREAM=nerfstudio OPEN3D_PLACE=FOLDER \
        make test ARGS=tests/depth/presets/test_consumers.py

The first three name checkouts. FOLDER is where `pip install --target FOLDER open3d==0.18.0
"numpy<2"` put Open3D. `-rP` shows the largest error of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from depth.family import METRES, RELATIVE_INVERSE, SCENE_UNITS, SKY
from depth.maps.result import FloatArray, Map, Result
from depth.presets.files import save_result
from depth.presets.shot import Shot
from depth.steps.focal import FocalAsked
from tests.support.depth_samples import ramp, result
from tests.support.places import ROOT

HEIGHT, WIDTH = 30, 41  # odd and even, so that rows and columns show
PIXELS = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
SHOT = Shot(FocalAsked(focal_px=32.5), image_size=(HEIGHT, WIDTH), pixels=PIXELS)


def needs(variable: str) -> Any:
    """Skips the test, with the reason, unless the variable names a place."""
    return pytest.mark.skipif(
        not os.environ.get(variable), reason=f"{variable} names no place with the tool's reader"
    )


def metres() -> Result:
    """0.25 to 9.5 m, with sky in the first row and a hole in the second."""
    values = ramp(HEIGHT, WIDTH)
    values[1, 1] = 0
    sky = Map(np.zeros((HEIGHT, WIDTH), np.float32), SKY)
    sky.values[0] = 1
    found = result(values, METRES, None)
    return replace(found, maps={**found.maps, SKY: sky})


def seen(values: FloatArray) -> FloatArray:
    """What a reader of distances gets: 0 for sky and hole."""
    kept = values.copy()
    kept[0] = 0
    return kept


def written(folder: Path, preset: str, found: Result) -> list[Path]:
    return save_result(found, folder / "b", (), {}, preset=preset, shot=SHOT)


def read_by(reader: str, variable: str, file: Path) -> Mapping[str, Any]:
    """What the tool's own reader gives, in a process where it finds no package of ours."""
    place = os.environ[variable].split(os.pathsep)[0]
    out = file.parent / "read.npz"
    program = ROOT / "tests/support/consumer_readers.py"
    command = [sys.executable, str(program), reader, place, str(file), str(out)]
    # Open3D brings the numpy it was built for, which has to be found before ours.
    surroundings = {**os.environ, "PYTHONPATH": place if reader == "open3d" else ""}
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(out) as found:
        return dict(found)


def error_of(what: str, read: FloatArray, expected: FloatArray) -> float:
    """The largest difference, which is printed too."""
    assert read.shape == expected.shape
    worst = float(np.abs(read.astype(np.float64) - expected).max())
    sys.stdout.write(f"{what}: largest error {worst:.3g}\n")
    return worst


@needs("MIDAS_UPSTREAM")
def test_midas_reads_each_number(tmp_path: Path) -> None:
    found = result(ramp(HEIGHT, WIDTH), RELATIVE_INVERSE)
    read = read_by("midas", "MIDAS_UPSTREAM", written(tmp_path, "midas", found)[0])
    assert error_of("midas", read["depth"], found.depth.values) == 0
    assert read["scale"] == 1


@needs("NERFSTUDIO_UPSTREAM")
@pytest.mark.parametrize("kind", [METRES, SCENE_UNITS])
def test_nerfstudio_reads_units_within_half_a_code(tmp_path: Path, kind: str) -> None:
    found = result(ramp(HEIGHT, WIDTH), kind, None)
    read = read_by("nerfstudio", "NERFSTUDIO_UPSTREAM", written(tmp_path, "nerfstudio", found)[0])
    assert error_of("nerfstudio", read["depth"], found.depth.values) <= 0.000501


@needs("NERFSTUDIO_UPSTREAM")
def test_nerfstudio_reads_zero_where_there_is_no_depth(tmp_path: Path) -> None:
    file = written(tmp_path, "nerfstudio", metres())[0]
    read = read_by("nerfstudio", "NERFSTUDIO_UPSTREAM", file)["depth"]
    assert error_of("nerfstudio", read, seen(metres().depth.values)) <= 0.000501


@needs("NUNIF_UPSTREAM")
@pytest.mark.skipif(not hasattr(torch, "uint16"), reason="iw3's reader needs torch 2.3")
@pytest.mark.parametrize("kind", [RELATIVE_INVERSE, METRES])
def test_iw3_opens_the_export_and_reads_nearness(tmp_path: Path, kind: str) -> None:
    found = result(ramp(HEIGHT, WIDTH), kind, None)
    written(tmp_path, "iw3", found)
    read = read_by("iw3", "NUNIF_UPSTREAM", tmp_path / "iw3_export.yml")
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
    save_result(found, tmp_path / "000000", (), {}, preset="iw3", shot=shot)
    read = read_by("iw3", "NUNIF_UPSTREAM", tmp_path / "iw3_export.yml")
    assert read["names"].tolist() == ["000000.png"]
    config = json.loads(str(read["config"]))
    assert (config["type"], config["fps"], config["mapper"]) == ("video", "30000/1001", "none")


@needs("OPEN3D_PLACE")
def test_open3d_reads_metres_and_points(tmp_path: Path) -> None:
    file = written(tmp_path, "open3d", metres())[0]
    read = read_by("open3d", "OPEN3D_PLACE", file)
    expected = seen(metres().depth.values)
    assert error_of("open3d", read["depth"], expected) <= 0.000501
    rows, columns = np.nonzero(expected)
    z = expected[rows, columns]
    x = (columns - (WIDTH - 1) / 2) / 32.5 * z
    y = (rows - (HEIGHT - 1) / 2) / 32.5 * z
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
