"""Each format keeps its values, and other programs read it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
from PIL import Image

from depth.errors import DepthFileError, InputError
from depth.family import CONFIDENCE, METRES, RELATIVE_INVERSE, SKY
from depth.maps.formats import CODECS
from depth.maps.png import KITTI_STEP_M, Coding, coding_for, from_codes, to_codes
from depth.maps.result import Map
from tests.support.depth_samples import KINDS, depth_of, pixels_for, ramp

TEXT = '{"kind":"metres"}'
FLOAT_FORMATS = [name for name, codec in CODECS.items() if codec.dtype == "float32"]
WITH_TEXT = [name for name, codec in CODECS.items() if codec.reads_alone]
SHAPES = [(1, 1), (1, 9), (9, 1), (16, 4), (17, 3), (33, 31)]
RANGES = [(0.0, 1.0), (0.0, 1e-6), (0.0, 1e6), (0.0, 0.0), (3.25, 3.25), (1000.0, 1000.5)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CODECS)
def test_pixels_and_text_come_back(name: str, shape: tuple[int, int]) -> None:
    pixels = pixels_for(name, ramp(*shape))
    codec = CODECS[name]
    again, text = codec.decode(codec.encode(pixels, TEXT))
    np.testing.assert_array_equal(again, pixels)
    assert again.dtype == pixels.dtype
    assert text == (TEXT if name in WITH_TEXT else None)


@pytest.mark.parametrize("name", FLOAT_FORMATS)
@pytest.mark.parametrize(("low", "high"), [*RANGES, (-3e38, 3e38), (1e-45, 1e-38)])
def test_floats_are_bit_exact(name: str, low: float, high: float) -> None:
    values = ramp(19, 23, low, high)
    again, _ = CODECS[name].decode(CODECS[name].encode(values, ""))
    assert again.tobytes() == values.tobytes()


@pytest.mark.parametrize("name", CODECS)
def test_same_input_same_bytes(name: str) -> None:
    pixels = pixels_for(name, ramp())
    assert CODECS[name].encode(pixels, TEXT) == CODECS[name].encode(pixels.copy(), TEXT)


@pytest.mark.parametrize("name", CODECS)
def test_views_are_written_as_they_look(name: str) -> None:
    pixels = pixels_for(name, ramp(20, 30))[::-2, ::3]
    again, _ = CODECS[name].decode(CODECS[name].encode(pixels, TEXT))
    np.testing.assert_array_equal(again, pixels)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("kind", [kind for kind in (*KINDS, SKY, CONFIDENCE) if kind != METRES])
def test_codes_lose_less_than_half_a_step(
    kind: str, low: float, high: float, shape: tuple[int, int]
) -> None:
    depth = Map(ramp(*shape, low, high), kind)
    coding = coding_for(depth)
    codes = to_codes(depth.values, coding)
    if depth.values.min() < depth.values.max():
        assert (codes.min(), codes.max()) == (0, 65535)
    error = np.abs(coding.offset + coding.scale * codes.astype(np.float64) - depth.values)
    # A hundredth of a step for float32's own rounding.
    assert error.max() <= 0.51 * coding.scale


def test_a_constant_image_is_code_zero_and_comes_back() -> None:
    depth = depth_of(np.full((3, 4), 2.7, np.float32))
    coding = coding_for(depth)
    codes = to_codes(depth.values, coding)
    assert coding.scale == 0
    assert not codes.any()
    np.testing.assert_array_equal(from_codes(codes, coding), depth.values)


@pytest.mark.parametrize(
    ("max_depth_m", "step_m"), [(20.0, 0.001), (65.535, 0.001), (80.0, KITTI_STEP_M)]
)
def test_metres_keep_a_fixed_unit(max_depth_m: float, step_m: float) -> None:
    depth = depth_of(ramp(9, 9, 0.0, max_depth_m), METRES, max_depth_m)
    coding = coding_for(depth)
    codes = to_codes(depth.values, coding)
    assert coding == Coding(step_m, 0.0)
    assert codes[-1, -1] == round(max_depth_m / step_m)
    assert np.abs(from_codes(codes, coding) - depth.values).max() <= 0.51 * step_m


@pytest.mark.parametrize(
    ("farthest_m", "step_m"),
    [(20.0, 0.001), (65.5, 0.001), (65.6, KITTI_STEP_M), (250.0, KITTI_STEP_M), (655.35, 0.01)],
)
def test_metres_of_a_model_without_a_range_take_the_finest_unit_that_holds_them(
    farthest_m: float, step_m: float
) -> None:
    depth = depth_of(ramp(9, 9, 0.0, farthest_m), METRES, None)
    coding = coding_for(depth)
    assert (coding.scale, coding.offset) == (pytest.approx(step_m), 0.0)
    found = from_codes(to_codes(depth.values, coding), coding)
    assert np.abs(found - depth.values).max() <= 0.51 * step_m


@pytest.mark.parametrize(("low", "high"), [(-0.001, 5.0), (0.0, 66.0)])
def test_metres_that_do_not_fit_are_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match="write a float format"):
        coding_for(depth_of(ramp(2, 2, low, high), METRES, 20.0))


def test_a_range_wider_than_float32_is_refused() -> None:
    with pytest.raises(InputError, match="wider than float32"):
        coding_for(depth_of(ramp(2, 2, -3e38, 3e38)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("kind", "largest"), [(METRES, 20.0), (METRES, None), (RELATIVE_INVERSE, None)]
)
def test_values_that_are_not_finite_have_no_codes(
    kind: str, largest: Optional[float], value: float
) -> None:
    values = ramp(2, 2)
    values[1, 1] = value
    with pytest.raises(InputError):
        coding_for(depth_of(values, kind, largest))


def test_a_scale_beyond_float32_is_refused() -> None:
    with pytest.raises(DepthFileError, match="leaves the range"):
        from_codes(np.zeros((1, 1), np.uint16), Coding(1e300, 0.0))


def test_opencv_reads_a_png_of_many_megabytes_in_silence(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pixels = np.random.default_rng(0).integers(0, 2**16, (2200, 2200), dtype=np.uint16)
    data = CODECS["png"].encode(pixels, TEXT)
    assert len(data) > 8_000_000
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(CODECS["png"].decode(data)[0], pixels)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["png", "pfm", "tiff"])
def test_opencv_reads_it_the_right_way_up(name: str, tmp_path: Path) -> None:
    pixels = pixels_for(name, ramp())
    path = tmp_path / f"x.{name}"
    path.write_bytes(CODECS[name].encode(pixels, TEXT))
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), pixels)


@pytest.mark.parametrize(("name", "mode"), [("png", "I;16"), ("tiff", "F")])
def test_pillow_reads_pixels_and_text(name: str, mode: str) -> None:
    pixels = pixels_for(name, ramp())
    with Image.open(io.BytesIO(CODECS[name].encode(pixels, TEXT))) as image:
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), pixels)
        text = image.info["depth"] if name == "png" else image.tag_v2[270]
    assert text == TEXT


def test_tifffile_reads_pixels_and_text() -> None:
    with tifffile.TiffFile(io.BytesIO(CODECS["tiff"].encode(ramp(), TEXT))) as file:
        np.testing.assert_array_equal(file.asarray(), ramp())
        assert file.pages.first.description == TEXT


def test_a_tiff_that_pillow_wrote_without_our_tags_is_read() -> None:
    stream = io.BytesIO()
    Image.fromarray(ramp()).save(stream, "TIFF")
    with Image.open(stream) as image:
        assert 277 not in image.tag_v2  # SamplesPerPixel, which has a default
    np.testing.assert_array_equal(CODECS["tiff"].decode(stream.getvalue())[0], ramp())


def test_openexr_reads_pixels_and_text() -> None:
    values = ramp(40, 7)
    stream = io.BytesIO(CODECS["exr"].encode(values, TEXT))
    with OpenEXR.File(stream, separate_channels=True) as image:
        assert list(image.channels()) == ["Z"]
        np.testing.assert_array_equal(image.channels()["Z"].pixels, values)
        assert image.header()["depth"] == TEXT
        assert image.header()["compression"] == OpenEXR.ZIP_COMPRESSION


def test_numpy_reads_npy_and_npz() -> None:
    stored = np.load(io.BytesIO(CODECS["npy"].encode(ramp(), TEXT)), allow_pickle=False)
    np.testing.assert_array_equal(stored, ramp())
    with np.load(io.BytesIO(CODECS["npz"].encode(ramp(), TEXT)), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["depth"], ramp())
        assert str(arrays["meta"]) == TEXT


def test_a_big_endian_pfm_is_read() -> None:
    data = b"Pf\n7 5\n1.0\n" + ramp()[::-1].astype(">f4").tobytes()
    np.testing.assert_array_equal(CODECS["pfm"].decode(data)[0], ramp())


@pytest.mark.parametrize("kind", KINDS)
def test_all_zero_depth_stays_zero(kind: str) -> None:
    depth = depth_of(np.zeros((4, 6), np.float32), kind)
    coding = coding_for(depth)
    assert not from_codes(to_codes(depth.values, coding), coding).any()
