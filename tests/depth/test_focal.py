"""The focal length: as the user says it, as a file says it, in px of the network's input."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from depth.errors import InputError
from depth.images.header import exif_focal_px
from depth.maps.result import EXIF, FOCAL_PX, FOV_DEG, INTRINSICS, Focal
from depth.steps.focal import NOTHING_ASKED, FocalAsked, focal_for
from tests.support.hostile import encoded, picture
from tests.support.image_samples import read_header

IMAGE, NETWORK = (1000, 2000), (252, 504)  # (height, width) px
MATRIX = [[800, 0, 1000], [0, 900, 500], [0, 0, 1]]


def test_px_are_scaled_as_the_image_is() -> None:
    found = focal_for(FocalAsked(focal_px=1000), None, IMAGE, NETWORK)
    assert found == Focal(pytest.approx(252.0), FOCAL_PX)
    uneven = focal_for(FocalAsked(focal_px=1000), None, IMAGE, (280, 504))
    assert uneven == Focal(pytest.approx((252.0 + 280.0) / 2), FOCAL_PX)


def test_a_right_angle_of_view_is_half_the_width() -> None:
    found = focal_for(FocalAsked(fov_deg=90), None, IMAGE, NETWORK)
    assert found == Focal(pytest.approx(252.0), FOV_DEG)


def test_intrinsics_have_a_focal_length_per_axis() -> None:
    for matrix in (MATRIX, np.array(MATRIX, np.float32)):
        found = focal_for(FocalAsked(intrinsics=matrix), None, IMAGE, (280, 504))
        assert found == Focal(pytest.approx((800 * 0.252 + 900 * 0.28) / 2), INTRINSICS)


def test_who_is_asked_first() -> None:
    everything = {"focal_px": 100.0, "fov_deg": 60.0, "intrinsics": MATRIX}
    for source in (FOCAL_PX, FOV_DEG, INTRINSICS):
        found = focal_for(FocalAsked(**everything), 50.0, IMAGE, NETWORK)  # type: ignore[arg-type]
        assert found is not None
        assert found.source == source
        del everything[source]
    assert focal_for(NOTHING_ASKED, 1000.0, IMAGE, NETWORK) == Focal(pytest.approx(252.0), EXIF)
    assert focal_for(NOTHING_ASKED, None, IMAGE, NETWORK) is None


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"focal_px": 0.0}, "focal length 0.0 px: expected a number over 0"),
        ({"focal_px": math.nan}, "focal length nan px"),
        ({"focal_px": math.inf}, "focal length inf px"),
        ({"fov_deg": 180.0}, "180.0 degrees: expected between 0 and 180"),
        ({"fov_deg": math.nan}, "expected between 0 and 180"),
        ({"intrinsics": [[1, 2], [3, 4]]}, "three rows of three numbers"),
        ({"intrinsics": [[0, 0, 1], [0, 1, 1], [0, 0, 1]]}, "focal lengths 0.0 and 1.0 px"),
    ],
)
def test_what_no_camera_has_is_refused(asked: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        FocalAsked(**asked)


def block(**fields: Any) -> Image.Exif:
    names = {"mm": 0x920A, "mm35": 0xA405, "x": 0xA20E, "unit": 0xA210, "width": 0xA002}
    made = Image.Exif()
    made[0x0110] = "A camera"
    directory = made.get_ifd(0x8769)
    for name, value in fields.items():
        directory[names[name]] = IFDRational(value) if isinstance(value, float) else value
    read = Image.Exif()
    read.load(made.tobytes())  # Pillow writes TIFF only with what it has read
    return read


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turned", [1, 6])
def test_the_equivalent_focal_length_is_about_the_diagonal(kind: str, turned: int) -> None:
    written = block(mm35=28)
    written[0x0112] = turned
    header = read_header(encoded(picture(60, 80), kind, exif=written))
    assert header.focal_px == pytest.approx(28 * 100 / math.hypot(36, 24))


def test_the_sensor_s_pixels_say_it_too() -> None:
    written = block(mm=5.0, x=2000.0, unit=3)  # 5 mm, 2000 px per cm
    assert read_header(encoded(picture(60, 80), "JPEG", exif=written)).focal_px == 1000
    written = block(mm=5.0, x=2000.0, unit=3, width=160)  # halved since
    assert read_header(encoded(picture(60, 80), "JPEG", exif=written)).focal_px == 500
    written = block(mm=5.0, x=2540.0)  # per inch, as nothing is said
    assert read_header(encoded(picture(60, 80), "JPEG", exif=written)).focal_px == 500


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"mm": 5.0},
        {"x": 2000.0, "unit": 3},
        {"mm": 0.0, "x": 2000.0, "unit": 3},
        {"mm": 5.0, "x": 2000.0, "unit": 9},
        {"mm35": 0},
    ],
)
def test_a_file_that_says_too_little_says_nothing(fields: Any) -> None:
    data = encoded(picture(60, 80), "JPEG", exif=block(**fields))
    assert read_header(data).focal_px is None


def test_an_image_without_exif_says_nothing() -> None:
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
        assert read_header(encoded(picture(60, 80), kind)).focal_px is None


def test_damage_anywhere_is_no_error() -> None:
    whole = block(mm35=28, mm=5.0, x=2000.0, unit=3).tobytes()[6:]
    assert exif_focal_px(whole, 80, 60) is not None
    rng = np.random.default_rng(0)
    for length in range(len(whole)):
        exif_focal_px(whole[:length], 80, 60)
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[rng.integers(len(whole))] = rng.integers(256)
        found = exif_focal_px(bytes(damaged), 80, 60)
        assert found is None or 0 < found < math.inf


def test_a_directory_that_leads_to_itself_ends() -> None:
    loop = struct.pack("<4sIHHHII", b"II*\0", 8, 1, 0x8769, 4, 1, 8)
    assert exif_focal_px(loop, 80, 60) is None
    many = b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(12 * 65535)
    assert exif_focal_px(many, 80, 60) is None
