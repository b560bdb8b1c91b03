"""Decoders refuse what the encoders did not write, before it costs memory, and run none of it."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from depth.errors import DepthFileError
from depth.maps.formats import CODECS
from tests.support.depth_samples import pixels_for, ramp
from tests.support.image_samples import chunk

TEXT = '{"kind":"metres"}'
OWN = [name for name in CODECS if name not in ("exr", "tiff")]  # decoders that meet any bytes


@pytest.mark.parametrize("name", OWN)
def test_every_truncation_is_noticed(name: str) -> None:
    data = CODECS[name].encode(pixels_for(name, ramp(33, 9)), TEXT)
    for kept in [0, 1, 5, 12, *range(20, len(data), 37), len(data) - 1]:
        with pytest.raises(DepthFileError):
            CODECS[name].decode(data[:kept])


@pytest.mark.parametrize("name", OWN)
def test_altered_bytes_raise_only_our_error(name: str) -> None:
    rng = np.random.default_rng(0)
    good = CODECS[name].encode(pixels_for(name, ramp(33, 9)), TEXT)
    refused = 0
    for _ in range(400):
        data = bytearray(good)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.choice([0, 1, 127, 128, 255])
        try:
            CODECS[name].decode(bytes(data))
        except DepthFileError:
            refused += 1
    assert refused


def png_of(width_px: int, height_px: int, bits: int = 16, colour: int = 0) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width_px, height_px, bits, colour, 0, 0, 0)
    chunks = [body, b"IDAT" + zlib.compress(b"\0\0\0"), b"IEND"]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def npy_of(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def declaring(name: str, side_px: int) -> bytes:
    """A small file of format `name` whose header claims `side_px` x `side_px`."""
    if name == "png":
        return png_of(side_px, side_px)
    good = CODECS[name].encode(ramp(12, 10), TEXT)
    if name == "pfm":
        return good.replace(b"10 12", b"%d %d" % (side_px, side_px))
    if name == "exr":
        return good.replace(struct.pack("<ii", 9, 11), struct.pack("<ii", side_px - 1, side_px - 1))
    if name == "tiff":
        for tag, size in ((256, 10), (257, 12)):
            entry = struct.pack("<HHII", tag, 4, 1, size)
            assert entry in good or struct.pack("<HHIHH", tag, 3, 1, size, 0) in good
            good = good.replace(entry, struct.pack("<HHII", tag, 4, 1, side_px))
            good = good.replace(
                entry[:2] + b"\3\0" + entry[4:], struct.pack("<HHII", tag, 4, 1, side_px)
            )
        return good
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (side_px, side_px)}
    np.lib.format.write_array_header_1_0(stream, header)
    if name == "npy":
        return stream.getvalue()
    return npz_of({"depth.npy": stream.getvalue()})


def npz_of(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return stream.getvalue()


@pytest.mark.parametrize("name", CODECS)
def test_a_giant_declared_size_is_refused(name: str) -> None:
    with pytest.raises(DepthFileError, match="it declares 40000 x 40000 px|bomb"):
        CODECS[name].decode(declaring(name, 40_000))


@pytest.mark.parametrize("name", CODECS)
def test_a_size_that_the_pixels_do_not_fill_is_refused(name: str) -> None:
    with pytest.raises(DepthFileError, match="damaged"):
        CODECS[name].decode(declaring(name, 3_000))


class Payload:
    """Unpickling this would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "run")


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    objects = npy_of(np.array([[Payload(trap)]], dtype=object))
    bare = pickle.dumps(Payload(trap))
    for data in (objects, bare):
        with pytest.raises(DepthFileError):
            CODECS["npy"].decode(data)
        with pytest.raises(DepthFileError):
            CODECS["npz"].decode(npz_of({"depth.npy": data}))
    good = npy_of(ramp())
    with pytest.raises(DepthFileError):
        CODECS["npz"].decode(npz_of({"depth.npy": good, "meta.npy": objects}))
    assert not trap.exists()


@pytest.mark.parametrize(
    "array",
    [
        ramp().astype(np.float64),
        ramp().astype(np.float16),
        ramp().astype(">f4"),
        ramp()[np.newaxis],
        ramp().ravel(),
        np.asfortranarray(ramp()),
        np.zeros((0, 3), np.float32),
        np.zeros((3, 4), [("a", "<f4")]),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(DepthFileError):
        CODECS["npy"].decode(npy_of(array))
    with pytest.raises(DepthFileError):
        CODECS["npz"].decode(npz_of({"depth.npy": npy_of(array)}))


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_npz_packed_in_another_way_is_refused(method: int) -> None:
    with pytest.raises(DepthFileError, match="expected none or deflate"):
        CODECS["npz"].decode(npz_of({"depth.npy": npy_of(ramp())}, method))


def test_a_compressed_npz_is_read() -> None:
    again, text = CODECS["npz"].decode(npz_of({"depth.npy": npy_of(ramp())}))
    np.testing.assert_array_equal(again, ramp())
    assert text is None


@pytest.mark.parametrize(("bits", "colour"), [(8, 0), (8, 2), (16, 2)])
def test_other_pngs_are_refused(bits: int, colour: int) -> None:
    with pytest.raises(DepthFileError, match="not 16-bit gray"):
        CODECS["png"].decode(png_of(4, 4, bits, colour))


def test_an_animated_png_is_refused() -> None:
    data = CODECS["png"].encode(pixels_for("png", ramp()), TEXT)
    for kind in (b"acTL", b"fcTL", b"fdAT"):
        animated = data[:33] + chunk(kind, bytes(26)) + data[33:]
        with pytest.raises(DepthFileError, match="animated PNG"):
            CODECS["png"].decode(animated)


def test_an_exr_without_z_and_a_tiff_without_floats_are_refused() -> None:
    stream = io.BytesIO()
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"Y": ramp()}).write(stream)
    with pytest.raises(DepthFileError, match="without Z"):
        CODECS["exr"].decode(stream.getvalue())
    stream = io.BytesIO()
    Image.fromarray(ramp().astype(np.uint8)).save(stream, "TIFF")
    with pytest.raises(DepthFileError, match="mode L: expected float32"):
        CODECS["tiff"].decode(stream.getvalue())


@pytest.mark.parametrize("name", CODECS)
def test_bytes_of_another_format_are_refused(name: str) -> None:
    for other in CODECS:
        if other != name:
            with pytest.raises(DepthFileError):
                CODECS[name].decode(CODECS[other].encode(pixels_for(other, ramp()), TEXT))
