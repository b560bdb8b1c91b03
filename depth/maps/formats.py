"""The formats of a depth file, as one table: pixels and a description to bytes, and back.

A codec knows its container and nothing of what the numbers mean. Decoders check sizes before they
take memory, unpickle nothing, and raise only DepthFileError. Files of `exr` and `tiff` go to a
library, so `depth/maps/files.py` first compares their hash with the .json beside them.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from depth.errors import DepthFileError
from depth.maps import png
from depth.maps.exr import decode_exr, encode_exr
from depth.maps.meta import MAX_JSON_BYTES, check_size
from depth.maps.png import decode_png
from depth.maps.result import FloatArray
from depth.maps.tiff import decode_tiff, encode_tiff

NPZ_VALUES, NPZ_TEXT = "depth", "meta"  # names of the arrays in an NPZ

NUMBERS = ("<f4", "<f8", "<f2", "<u2", "<i4")  # dtypes of depth in files of others

_NPY_EXAMPLE = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[A-Za-z]\d{1,9})', 'fortran_order': False, "
    rb"'shape': \(((?:\d{1,9}, ?)*(?:\d{1,9})?)\), \} *\n"
)

_ZIP_ERRORS = (
    EOFError,
    KeyError,  # no array of that name
    OSError,
    RuntimeError,  # encrypted, or packed in a way unknown here
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Codec:
    """How one format stores [H,W] pixels of `dtype`, and a text unless it has no place for one."""

    suffix: str
    dtype: str
    encode: Callable[[npt.NDArray[Any], str], bytes]
    decode: Callable[[bytes], tuple[npt.NDArray[Any], str | None]]
    reads_alone: bool = False  # any bytes may be decoded, and the text says what they mean


def _encode_npy(values: FloatArray, _text: str) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(values), allow_pickle=False)
    return stream.getvalue()


def _decode_npy(data: bytes) -> tuple[FloatArray, None]:
    return _read_values(io.BytesIO(data), len(data)), None


def decode_numbers(data: bytes) -> npt.NDArray[Any]:
    """[H,W] of an NPY file that anyone wrote, of one of NUMBERS. Raises DepthFileError."""
    return _read_numbers(io.BytesIO(data), len(data), NUMBERS)


def _read_values(stream: IO[bytes], size_bytes: int) -> FloatArray:
    """A float32 [H,W] array in NPY form, of which there are `size_bytes`."""
    return _read_numbers(stream, size_bytes, ("<f4",)).astype(np.float32)


def _read_numbers(stream: IO[bytes], size_bytes: int, dtypes: Sequence[str]) -> npt.NDArray[Any]:
    dtype, shape = _npy_header(stream)
    if dtype not in dtypes or len(shape) != 2:
        wanted = " or ".join(map(repr, dtypes))
        raise DepthFileError(f"NPY of {dtype}, shape {shape}: expected {wanted} [H,W]")
    check_size(*shape)
    expected = shape[0] * shape[1] * np.dtype(dtype).itemsize
    # The declared size first, so that a small archive cannot unpack to a large one.
    data = stream.read(expected) if size_bytes >= expected else b""
    if len(data) != expected or stream.read(1):
        raise DepthFileError(f"damaged NPY: expected {expected} bytes of values")
    return np.frombuffer(data, dtype).reshape(shape)


def _npy_header(stream: IO[bytes]) -> tuple[str, tuple[int, ...]]:
    """dtype and shape. Matched, not evaluated as numpy does: it may be anyone's text."""
    start = stream.read(10)
    if start[:8] != b"\x93NUMPY\x01\x00" or len(start) != 10:
        raise DepthFileError("not an NPY of version 1.0")
    header = _NPY_HEADER.fullmatch(stream.read(int.from_bytes(start[8:], "little")))
    if header is None:
        raise DepthFileError(f"NPY that is not a plain array by rows, such as {_NPY_EXAMPLE}")
    return header[1].decode(), tuple(int(size) for size in re.findall(rb"\d+", header[2]))


def _encode_npz(values: FloatArray, text: str) -> bytes:
    # Not compressed: deflating float32 takes 430 ms for a fifth of the size (2048 x 1362).
    stream = io.BytesIO()
    np.savez(stream, **{NPZ_VALUES: np.ascontiguousarray(values), NPZ_TEXT: np.array(text)})
    return stream.getvalue()


def _decode_npz(data: bytes) -> tuple[FloatArray, str | None]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            values_info = _member(archive, NPZ_VALUES)
            with archive.open(values_info) as stream:
                values = _read_values(stream, values_info.file_size)
            if f"{NPZ_TEXT}.npy" not in archive.namelist():
                return values, None
            with archive.open(_member(archive, NPZ_TEXT)) as stream:
                return values, _read_text(stream)
    except _ZIP_ERRORS as error:
        raise DepthFileError(f"damaged NPZ: {error}") from error


def _member(archive: zipfile.ZipFile, array: str) -> zipfile.ZipInfo:
    """Where an array lies. Only what numpy packs: other methods have other errors and limits."""
    info = archive.getinfo(f"{array}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DepthFileError(f"NPZ packed by method {info.compress_type}: expected none or deflate")
    return info


def _read_text(stream: IO[bytes]) -> str:
    """A zero-dimensional array of text in NPY form."""
    dtype, shape = _npy_header(stream)
    if shape or not dtype.startswith("<U"):
        raise DepthFileError(f"NPZ with {NPZ_TEXT!r} of {dtype}, shape {shape}: expected one text")
    return stream.read(4 * MAX_JSON_BYTES).decode("utf-32-le")


def _encode_pfm(values: FloatArray, _text: str) -> bytes:
    height_px, width_px = values.shape
    header = f"Pf\n{width_px} {height_px}\n-1.0\n"  # a negative scale: little-endian
    return header.encode() + values[::-1].astype("<f4").tobytes()


def _decode_pfm(data: bytes) -> tuple[FloatArray, None]:
    header = re.match(rb"Pf\s(\d{1,9})\s(\d{1,9})\s(-?)1(?:\.0*)?\s", data)
    if header is None:
        raise DepthFileError("not a gray PFM of scale 1 or -1")
    width_px, height_px = int(header[1]), int(header[2])
    check_size(height_px, width_px)
    if len(data) - header.end() != height_px * width_px * 4:
        raise DepthFileError(f"damaged PFM: expected {height_px * width_px * 4} bytes of values")
    upside_down = np.frombuffer(data, "<f4" if header[3] else ">f4", offset=header.end())
    return upside_down.reshape(height_px, width_px)[::-1].astype(np.float32), None


CODECS: dict[str, Codec] = {
    "png": Codec(".png", "uint16", png.encode, decode_png, reads_alone=True),
    "npy": Codec(".npy", "float32", _encode_npy, _decode_npy),
    "npz": Codec(".npz", "float32", _encode_npz, _decode_npz, reads_alone=True),
    "pfm": Codec(".pfm", "float32", _encode_pfm, _decode_pfm),
    "exr": Codec(".exr", "float32", encode_exr, decode_exr),
    "tiff": Codec(".tiff", "float32", encode_tiff, decode_tiff),
}
