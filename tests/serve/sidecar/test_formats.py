"""Depth as bytes: JSON that any reader takes, a raw form that says what it is, and refusals."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest

from depth.errors import DepthFileError, InputError
from depth.family import DEPTH, METRES, RELATIVE_DEPTH, RELATIVE_INVERSE
from depth.images.given import hold
from depth.maps.png import decode_png
from depth.maps.result import FloatArray, Map
from serve.jobs.stage import Asked, ImageResult
from serve.sidecar.formats import (
    HEADER_BYTES,
    JSON,
    NPY,
    PNG16,
    RAW,
    Values,
    as_json,
    as_raw,
    encode,
    read_raw,
)
from serve.sidecar.values import NATIVE, NEAR1, is_stub, near1, stub
from tests.support.hostile import encoded, picture

VALUES = np.random.default_rng(0).random((31, 17), dtype=np.float32)


def result_of(values: FloatArray, kind: str = RELATIVE_INVERSE) -> ImageResult:
    made: list[ImageResult] = []
    stub(hold(encoded(picture(8, 8), "PNG")), Asked(), lambda result, _: made.append(result))
    provenance = made[0].provenance
    source = {"path": "", "sha256": None, "width_px": 17, "height_px": 31, "notes": []}
    return ImageResult({DEPTH: Map(values, kind)}, provenance, source=source)


def test_json_has_the_values_to_six_decimals_in_nine_bytes_each() -> None:
    values = np.concatenate([VALUES.ravel(), [0.0, 1.0, 5e-7, 0.9999996, 0.001]]).astype(np.float32)
    text = as_json(Values(values[None], NEAR1, False))
    found = json.loads(text)
    assert set(found) == {"height", "width", "depth"}
    assert (found["height"], found["width"]) == (1, values.size)
    assert len(found["depth"]) == values.size
    assert np.abs(np.array(found["depth"]) - values.astype(np.float64)).max() <= 5.1e-7
    assert 0.0 <= min(found["depth"]) <= max(found["depth"]) == 1.0
    assert len(text) == 9 * values.size + len('{"height": 1, "width": 532, "depth": [') + 2


def test_json_of_more_values_than_one_piece_is_in_order() -> None:
    values = np.linspace(0, 1, 70_000, dtype=np.float32).reshape(700, 100)
    found = json.loads(as_json(Values(values, NEAR1, False)))["depth"]
    assert np.allclose(found, values.ravel(), rtol=0, atol=5.1e-7)
    assert found == sorted(found)


def test_the_raw_form_can_be_read_by_its_offsets_and_by_us() -> None:
    header, values = as_raw(Values(VALUES, METRES, True))
    data = header + bytes(values)
    assert len(header) == HEADER_BYTES
    assert data[:8] == b"DEPTHF32"
    assert struct.unpack_from("<HBBII", data, 8) == (1, 4, 1, 31, 17)
    low, high, zero = struct.unpack_from("<ffI", data, 20)
    assert (np.float32(low), np.float32(high), zero) == (VALUES.min(), VALUES.max(), 0)
    assert np.array_equal(np.frombuffer(data, "<f4", offset=32).reshape(31, 17), VALUES)
    found = read_raw(data)
    assert np.array_equal(found.values, VALUES)
    assert (found.kind, found.stub) == (METRES, True)


@pytest.mark.parametrize(
    ("place", "byte"), [(0, b"X"), (8, b"\x02"), (10, b"\x05"), (11, b"\x02"), (12, b"\xff")]
)
def test_a_damaged_raw_header_is_refused(place: int, byte: bytes) -> None:
    data = b"".join(as_raw(Values(VALUES, NEAR1, False)))
    with pytest.raises(DepthFileError, match="raw depth"):
        read_raw(data[:place] + byte + data[place + 1 :])


def test_a_raw_file_that_is_cut_is_refused() -> None:
    data = b"".join(as_raw(Values(VALUES, NEAR1, False)))
    for size in (0, HEADER_BYTES - 1, HEADER_BYTES, len(data) - 1):
        with pytest.raises(DepthFileError, match="raw depth"):
            read_raw(data[:size])


def test_every_format_has_the_numbers_of_the_result() -> None:
    result = result_of(VALUES)
    assert np.array_equal(read_raw(b"".join(encode(result, RAW, NATIVE))).values, VALUES)
    npy = b"".join(encode(result, NPY, NATIVE))
    assert np.array_equal(np.load(io.BytesIO(npy), allow_pickle=False), VALUES)
    pixels, text = decode_png(b"".join(encode(result, PNG16, NATIVE)))
    assert (pixels.dtype, pixels.shape) == (np.uint16, VALUES.shape)
    assert RELATIVE_INVERSE in (text or "")
    near = json.loads(b"".join(encode(result, JSON, NEAR1)))
    assert near["stub"] is True
    assert np.allclose(near["depth"], near1(result.depth).ravel(), rtol=0, atol=5.1e-7)


def test_values_that_a_format_has_no_place_for_are_refused() -> None:
    with pytest.raises(InputError, match="png16 holds native values"):
        encode(result_of(VALUES), PNG16, NEAR1)
    with pytest.raises(InputError, match="from 0 to 1"):
        encode(result_of(VALUES), JSON, NATIVE)


def test_the_nearest_is_1_whatever_the_kind() -> None:
    near = near1(Map(VALUES, RELATIVE_INVERSE))
    assert (near.dtype, near.min(), near.max()) == (np.float32, 0.0, 1.0)
    assert near.argmax() == VALUES.argmax()
    for kind in (RELATIVE_DEPTH, METRES):
        turned = near1(Map(VALUES, kind))
        assert (turned.min(), turned.max()) == (0.0, 1.0)
        assert turned.argmax() == VALUES.argmin()
        assert np.allclose(turned, 1 - near, atol=1e-6)


def test_a_constant_map_is_0_and_a_huge_range_stays_inside() -> None:
    assert not near1(Map(np.full((3, 4), 7.0, np.float32), METRES)).any()
    huge = np.array([[-3.4e38, 0.0, 3.4e38]], np.float32)
    assert near1(Map(huge, RELATIVE_INVERSE)).tolist() == [[0.0, 0.5, 1.0]]


def test_a_stub_is_a_gradient_of_the_images_size_and_says_so() -> None:
    made: list[ImageResult] = []
    stub(hold(encoded(picture(6, 9), "PNG")), Asked(), lambda result, _: made.append(result))
    (result,) = made
    assert result.depth.values.shape == (6, 9)
    assert result.depth.values[:, 0].tolist() == result.depth.values[:, 8].tolist()
    assert (result.depth.values[0, 0], result.depth.values[5, 0]) == (0.0, 1.0)
    assert is_stub(result)
    assert "stub" in result.source["notes"][0]
