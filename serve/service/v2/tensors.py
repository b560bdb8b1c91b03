"""Tensors of the Open Inference Protocol V2: arrays of JSON lists or raw bytes, and back.

Source: Open Inference Protocol V2, "Tensor Data", and its binary tensor data extension. Raw numbers
are little-endian and row by row; each BYTES element stands after its length in four bytes.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from itertools import chain
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from depth.errors import InputError

BYTES = "BYTES"
MAX_ELEMENTS = 1 << 32
_MAX_BYTES_ELEMENTS = 1 << 16
_MAX_RANK = 8
_LENGTH = struct.Struct("<I")

_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES = (*_DTYPES, BYTES)
_JSON_TYPES: dict[str, set[type]] = {"b": {bool}, "u": {int}, "i": {int}, "f": {int, float}}

Values = Union[npt.NDArray[Any], "list[bytes]"]
Raw = Union[bytes, memoryview]


@dataclass(frozen=True)
class Tensor:
    """A named tensor.

    values  an array of `shape`, or the elements of BYTES in a list, row by row
    text    whether BYTES came as the text of JSON, so that no element can be any bytes
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Values
    text: bool = False


def shown(value: Any) -> str:
    """A value of a request in a few characters, for a message."""
    if isinstance(value, (list, dict)):
        return f"a {'list' if isinstance(value, list) else 'object'} of {len(value)}"
    return repr(value)[:80]


def check_datatype(where: str, datatype: Any) -> str:
    """A datatype of the protocol. Raises InputError."""
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        known = ", ".join(DATATYPES)
        raise InputError(f"{where}: datatype {shown(datatype)}, expected one of {known}")
    return datatype


def check_shape(where: str, shape: Any) -> tuple[int, ...]:
    """A shape without unknown sizes. Raises InputError for others, and for absurd sizes."""
    if not isinstance(shape, (list, tuple)) or not all(type(size) is int for size in shape):
        raise InputError(f"{where}: shape is {shown(shape)}, expected a list of whole numbers")
    if len(shape) > _MAX_RANK or any(size < 0 for size in shape):
        raise InputError(
            f"{where}: shape {repr(shape)[:100]}, expected at most {_MAX_RANK} sizes of 0 or more"
        )
    if math.prod(shape) > MAX_ELEMENTS:
        raise InputError(f"{where}: shape {repr(shape)[:100]} has over {MAX_ELEMENTS} elements")
    return tuple(shape)


def raw_size(datatype: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor of numbers."""
    return math.prod(shape) * _DTYPES[datatype].itemsize


def from_raw(name: str, datatype: str, shape: tuple[int, ...], data: Raw) -> Tensor:
    """A tensor of its raw bytes, which an array shares. Raises InputError for any other length."""
    where = f"input {name}"
    if datatype == BYTES:
        elements = _elements(where, memoryview(data), math.prod(shape))
        return Tensor(name, datatype, shape, elements)
    expected = raw_size(datatype, shape)
    if len(data) != expected:
        raise InputError(
            f"{where}: {len(data)} bytes of data, expected {expected} for {datatype} {list(shape)}"
        )
    values = np.frombuffer(data, _DTYPES[datatype]).reshape(shape)
    return Tensor(name, datatype, shape, values)


def from_list(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> Tensor:
    """A tensor of a list as JSON has it: flat, or nested as its shape. Raises InputError."""
    where = f"input {name}"
    flat = _flat(where, data, len(shape))
    if len(flat) != math.prod(shape):
        raise InputError(
            f"{where}: {len(flat)} values in data, expected {math.prod(shape)} for {list(shape)}"
        )
    found = set(map(type, flat))
    if datatype == BYTES:
        if not found <= {str}:
            raise InputError(f"{where}: data of BYTES holds {_names(found)}, expected texts")
        return Tensor(name, datatype, shape, _encoded(where, flat), text=True)
    dtype = _DTYPES[datatype]
    if not found <= _JSON_TYPES[dtype.kind]:
        raise InputError(f"{where}: data of {datatype} holds {_names(found)}")
    try:
        if dtype.kind in "ui" and flat:
            _check_range(where, datatype, flat)
        values = np.array(flat, dtype)
    except OverflowError:
        raise InputError(f"{where}: data holds a number that is no {datatype}") from None
    return Tensor(name, datatype, shape, values.reshape(shape))


def to_raw(tensor: Tensor) -> Raw:
    """The raw bytes of a tensor; they may share memory with its array."""
    if isinstance(tensor.values, list):
        return b"".join(chain.from_iterable((_LENGTH.pack(len(e)), e) for e in tensor.values))
    values = np.ascontiguousarray(tensor.values, _DTYPES[tensor.datatype])
    return values.reshape(-1).view(np.uint8).data


def to_list(tensor: Tensor) -> list[Any]:
    """The flat list of a tensor as JSON has it. BYTES have to be text."""
    if isinstance(tensor.values, list):
        return [element.decode() for element in tensor.values]
    return tensor.values.reshape(-1).tolist()


def _elements(where: str, data: memoryview, count: int) -> list[bytes]:
    if count > _MAX_BYTES_ELEMENTS:
        raise InputError(f"{where}: {count} elements of BYTES, over {_MAX_BYTES_ELEMENTS}")
    found: list[bytes] = []
    at = 0
    while at < len(data):
        if len(data) - at < _LENGTH.size:
            raise InputError(f"{where}: {len(data) - at} bytes after the last element of BYTES")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length > len(data) - at:
            raise InputError(
                f"{where}: element {len(found)} of BYTES says {length} bytes, {len(data) - at} left"
            )
        if len(found) == count:
            raise InputError(f"{where}: more than the {count} elements of its shape")
        found.append(bytes(data[at : at + length]))
        at += length
    if len(found) != count:
        raise InputError(f"{where}: {len(found)} elements of BYTES, its shape has {count}")
    return found


def _flat(where: str, data: Any, rank: int) -> list[Any]:
    flat = data
    for _ in range(rank):
        if not isinstance(flat, list) or not flat or not isinstance(flat[0], list):
            break
        if set(map(type, flat)) != {list}:
            raise InputError(f"{where}: data mixes lists and values")
        flat = list(chain.from_iterable(flat))
    if not isinstance(flat, list):
        raise InputError(f"{where}: data is no list")
    return flat


def _encoded(where: str, texts: list[str]) -> list[bytes]:
    try:
        return [text.encode() for text in texts]
    except UnicodeEncodeError:
        raise InputError(f"{where}: data of BYTES holds half a surrogate pair") from None


def _check_range(where: str, datatype: str, flat: list[int]) -> None:
    limits = np.iinfo(_DTYPES[datatype])
    if min(flat) < limits.min or max(flat) > limits.max:
        raise InputError(f"{where}: data of {datatype} outside {limits.min} to {limits.max}")


def _names(found: set[type]) -> str:
    return ", ".join(sorted(each.__name__ for each in found))
