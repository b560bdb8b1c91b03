"""Presets: each file read back by a reader that is written here from the tool's public format."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from depth.errors import InputError
from depth.family import DEPTH, METRES, RELATIVE_DEPTH, RELATIVE_INVERSE, SCENE_UNITS, SKY
from depth.maps.consumer import PresetFiles, is_inside
from depth.maps.fit import FitRecord
from depth.maps.result import FloatArray, Map, Result
from depth.presets.encode import MEDIA_TYPES, preset_files
from depth.presets.names import PRESET_NAMES, formats_of
from depth.presets.shot import Shot
from depth.presets.table import PRESETS, check_kind
from depth.steps.focal import FocalAsked
from tests.support.depth_samples import ramp, result

PIXELS = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
SHOT = Shot(FocalAsked(focal_px=10.0), image_size=(5, 7), pixels=PIXELS)


def metres(values: FloatArray) -> Result:
    return result(values, METRES, None)


def made(name: str, found: Result, shot: Shot = SHOT) -> PresetFiles:
    return preset_files(name, found, "b", shot)


def depth_bytes(files: PresetFiles) -> bytes:
    return files.files[DEPTH][1]


def codes_in(data: bytes) -> np.ndarray:
    codes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH)
    assert codes is not None
    assert codes.dtype == np.uint16
    return codes


@pytest.mark.parametrize(
    ("name", "per_metre"), [("kitti", 256), ("nyu", 1000), ("open3d", 1000), ("tum", 5000)]
)
def test_a_distance_png_has_its_unit_and_zero_where_there_is_no_depth(
    name: str, per_metre: int
) -> None:
    values = ramp()
    values[0, :4] = [0.0, -1.0, 70_000 / per_metre, 65_535 / per_metre]
    files = made(name, metres(values))
    codes = codes_in(depth_bytes(files))
    assert codes[0, :4].tolist() == [0, 0, 0, 65_535]
    assert np.abs(codes[1:] / per_metre - values[1:]).max() <= 0.5001 / per_metre
    assert (files.facts.invalid_px, files.facts.beyond_px) == (2, 1)


def test_a_distance_below_half_a_code_counts_as_no_depth() -> None:
    values = ramp()
    values[0, :3] = [0.00049, 0.00051, 0.0]
    files = made("nerfstudio", result(values, SCENE_UNITS, None))
    assert codes_in(depth_bytes(files))[0, :3].tolist() == [0, 1, 0]
    assert (files.facts.invalid_px, files.facts.beyond_px) == (2, 0)


def test_sky_is_no_distance() -> None:
    sky = Map(np.zeros((5, 7), np.float32), SKY)
    sky.values[0] = 0.9
    found = metres(ramp())
    files = made("nyu", replace(found, maps={**found.maps, SKY: sky}))
    codes = codes_in(depth_bytes(files))
    assert not codes[0].any()
    assert codes[1:].all()
    assert files.facts.invalid_px == 7


def test_colmap_rows_follow_a_header_of_width_height_channels() -> None:
    values = ramp()
    values[2, 3] = 0
    data = depth_bytes(made("colmap", metres(values)))
    header = re.match(rb"(\d+)&(\d+)&(\d+)&", data)
    assert header is not None
    width, height, channels = map(int, header.groups())
    read = np.frombuffer(data[header.end() :], "<f4").reshape((width, height, channels), order="F")
    assert np.array_equal(np.transpose(read, (1, 0, 2)).squeeze(), values)


def test_midas_reads_inverse_depth_from_the_bottom_up() -> None:
    found = result(ramp())
    lines = depth_bytes(made("midas", found)).split(b"\n", 3)
    assert lines[:3] == [b"Pf", b"7 5", b"-1.0"]
    read = np.flipud(np.frombuffer(lines[3], "<f4").reshape(5, 7))
    assert np.array_equal(read, found.depth.values)
    read_metres = depth_bytes(made("midas", metres(ramp()))).split(b"\n", 3)[3]
    assert np.allclose(np.flipud(np.frombuffer(read_metres, "<f4").reshape(5, 7)), 1 / ramp())


def test_ros_has_nan_and_a_camera_info_of_the_maps_size() -> None:
    values = ramp()
    values[1, 1] = 0
    files = made("ros", metres(values))
    read = cv2.imdecode(np.frombuffer(depth_bytes(files), np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert read.dtype == np.float32
    assert np.isnan(read[1, 1])
    assert np.array_equal(np.nan_to_num(read), values)
    camera = yaml.safe_load(files.files["camera_info"][1])
    assert (camera["image_height"], camera["image_width"]) == (5, 7)
    assert camera["camera_matrix"]["data"] == [10.0, 0.0, 3.0, 0.0, 10.0, 2.0, 0.0, 0.0, 1.0]
    assert "camera_info" not in made("ros", metres(values), Shot()).files


def test_open3d_says_where_depth_ends_and_its_camera() -> None:
    said = json.loads(made("open3d", metres(ramp())).files["open3d"][1])
    assert said["depth_scale"] == 1000
    assert 9.5 < said["depth_trunc"] < 9.51
    assert said["intrinsic_matrix"][0] == 10.0


def test_3dgs_codes_and_parameters_give_the_inverse_depth_of_the_model() -> None:
    values = ramp()
    fit = FitRecord.__new__(FitRecord)
    object.__setattr__(fit, "source", "colmap")
    found = replace(result(values, SCENE_UNITS, None), fit=fit)
    files = made("3dgs", found)
    codes = codes_in(depth_bytes(files))
    assert (codes.min(), codes.max()) == (0, 65_535)
    facts = files.facts.facts
    read = codes.astype(np.float32) / 2**16 * facts["scale"] + facts["offset"]
    assert np.abs(read - 1 / values).max() < 1e-4
    assert not made("3dgs", result(values)).facts.facts, "of no model: no parameters"


def test_iw3_reads_nearness_beside_its_rgb_and_its_config() -> None:
    files = made("iw3", result(ramp()))
    names = {role: name for role, (name, _) in files.files.items()}
    assert names == {DEPTH: "depth/b.png", "rgb": "rgb/b.png", "config": "iw3_export.yml"}
    config = yaml.safe_load(files.files["config"][1])
    assert (config["type"], config["rgb_dir"], config["depth_dir"]) == ("images", "rgb", "depth")
    nearness = codes_in(depth_bytes(files)) / 0xFFFF
    assert (nearness.min(), nearness.max()) == (0, 1)
    assert nearness[-1, -1] == 1, "larger is nearer"
    rgb = cv2.imdecode(np.frombuffer(files.files["rgb"][1], np.uint8), cv2.IMREAD_COLOR)
    assert rgb is not None
    assert np.array_equal(rgb, PIXELS)
    with pytest.raises(InputError, match="image beside the depth"):
        made("iw3", result(ramp()), Shot())


def of_sequence(kind: str, span: tuple[float, float], values: FloatArray) -> Result:
    """A frame whose sequence has this range of values."""
    return Result({DEPTH: Map(values, kind, span=span)}, result(ramp()).provenance)


@pytest.mark.parametrize("name", ["3dgs", "iw3"])
@pytest.mark.parametrize(
    ("kind", "ends"), [(RELATIVE_INVERSE, (0.0, 8.0)), (METRES, (1 / 8, 1 / 0.25))]
)
def test_codes_of_a_sequence_show_its_range_in_every_frame(
    name: str, kind: str, ends: tuple[float, float]
) -> None:
    span = (0.0, 8.0) if kind == RELATIVE_INVERSE else (0.25, 8.0)
    scales = set()
    for values in (ramp(5, 7, 1.0, 2.0), ramp(5, 7, 3.0, 9.0)):
        files = made(name, of_sequence(kind, span, values), replace(SHOT, rate=Fraction(24)))
        low, high = ends
        facts = files.facts
        scales.add((facts.scale, facts.offset))
        assert (facts.offset, facts.offset + 65535 * facts.scale) == pytest.approx((low, high))
        read = facts.offset + facts.scale * codes_in(depth_bytes(files)).astype(np.float64)
        numbers = values if kind == RELATIVE_INVERSE else 1 / values
        assert np.abs(read - np.clip(numbers, low, high)).max() <= 0.51 * facts.scale
    assert len(scales) == 1


def test_nearness_of_a_sequence_is_that_of_its_range() -> None:
    for kind, wanted in ((RELATIVE_INVERSE, (0.25, 0.5)), (METRES, (0.75, 0.5))):
        found = of_sequence(kind, (0.0, 4.0), ramp(5, 7, 1.0, 2.0))
        near = np.load(io.BytesIO(depth_bytes(made("comfyui", found))))[0, :, :, 0]
        assert (near[0, 0], near[-1, -1]) == pytest.approx(wanted)
    beyond = of_sequence(METRES, (1.0, 2.0), ramp(5, 7, 0.5, 3.0))
    near = np.load(io.BytesIO(depth_bytes(made("comfyui", beyond))))
    assert (near.min(), near.max()) == (0, 1)


def test_a_sequence_that_reaches_zero_distance_has_no_range_of_inverse_depth() -> None:
    found = of_sequence(METRES, (0.0, 4.0), ramp(5, 7, 1.0, 2.0))
    with pytest.raises(InputError, match="take --preset midas"):
        made("3dgs", found)
    assert made("midas", found).files


def test_iw3_of_a_sequence_is_a_video_with_its_rate() -> None:
    for rate, said in ((Fraction(30_000, 1001), "30000/1001"), (Fraction(24), 24)):
        files = made("iw3", result(ramp()), replace(SHOT, rate=rate))
        config = yaml.safe_load(files.files["config"][1])
        assert (config["type"], config["fps"], config["user_data"]) == ("video", said, {})
        assert files.facts.setting == f"iw3 fps {said}"


def test_comfyui_is_a_batch_of_gray_images_and_sp3d_a_list() -> None:
    batch = np.load(io.BytesIO(depth_bytes(made("comfyui", metres(ramp())))))
    assert (batch.shape, batch.dtype) == ((1, 5, 7, 3), np.float32)
    assert batch[0, 0, 0].tolist() == [1, 1, 1], "the nearest"
    said = json.loads(depth_bytes(made("sp3d", metres(ramp()))))
    assert (said["height"], said["width"], len(said["depth"])) == (5, 7, 35)
    assert np.allclose(said["depth"], batch[0, :, :, 0].ravel(), atol=1e-6)


def test_blender_finds_one_channel_y() -> None:
    import OpenEXR

    data = depth_bytes(made("blender", metres(ramp())))
    with OpenEXR.File(io.BytesIO(data), separate_channels=True) as image:
        assert list(image.channels()) == ["Y"]
        assert np.array_equal(image.channels()["Y"].pixels, ramp())


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_depth_without_a_unit_is_refused_where_a_unit_is_needed(name: str) -> None:
    for kind in (RELATIVE_INVERSE, RELATIVE_DEPTH):
        if kind in PRESETS[name].kinds:
            assert made(name, result(ramp(), kind, None)).files
            continue
        with pytest.raises(InputError, match="--fit"):
            made(name, result(ramp(), kind, None))


def test_the_refusal_says_what_helps() -> None:
    with pytest.raises(InputError, match="--focal-px"):
        check_kind("kitti", "focal_normalised")
    with pytest.raises(InputError, match="--fit-unit m"):
        check_kind("kitti", SCENE_UNITS)
    with pytest.raises(InputError, match="expected one of 3dgs"):
        check_kind("kity", METRES)


def test_the_table_is_whole() -> None:
    assert tuple(PRESETS) == PRESET_NAMES
    assert {row.container for row in PRESETS.values()} == set(MEDIA_TYPES)
    assert formats_of(None, "") == ("png",)
    assert formats_of(None, "kitti") == ()


@pytest.mark.parametrize("name", ["../a", "/a", "a/../b", "./a", "", "a/.."])
def test_a_name_that_leaves_the_folder_is_not_inside(name: str) -> None:
    assert not is_inside(name)
    assert is_inside("depth/a.png")


def test_the_readme_has_the_rows_of_the_table() -> None:
    text = (Path(__file__).parents[3] / "depth/presets/README.md").read_text()
    for row in PRESETS.values():
        name = f"{row.folder}NAME{row.suffix}"
        start = f"| `{row.name}` | {row.holds} | {row.dtype} | {row.invalid} | `{name}` |"
        assert start in text, start
