"""The JSON that SimplePicture3D reads from its depth estimator."""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from depth.maps.result import FloatArray

_GROUP = 1000  # a number's decimals are looked up in two groups of three
_PIECE = 1 << 16  # values that are written at once


def encode_sp3d(values: FloatArray, stub: bool = False) -> bytes:
    """`{"height": H, "width": W, "depth": [...]}`, with `"stub": true` in front for a stub.

    values  float32 [H,W] from 0 to 1

    Each number has 6 decimals, so it takes 9 bytes with its comma.
    """
    height, width = values.shape
    facts = {**({"stub": True} if stub else {}), "height": height, "width": width}
    text = _numbers(values)
    return b"".join((json.dumps(facts)[:-1].encode(), b', "depth": [', text[:-1], b"]}\n"))


def _numbers(values: FloatArray) -> bytes:
    """Each value of 0 to 1 as nine characters, `0.123456,`; in pieces that a cache holds."""
    ones, rest = _digits()
    text = np.empty(values.size, [("ones", ones.dtype), ("rest", rest.dtype)])
    flat = values.ravel()
    for start in range(0, flat.size, _PIECE):
        piece = flat[start : start + _PIECE]
        scaled = np.rint(piece.astype(np.float64) * (_GROUP * _GROUP)).astype(np.uint32)
        high = scaled // np.uint32(_GROUP)
        text["ones"][start : start + _PIECE] = ones[high]
        text["rest"][start : start + _PIECE] = rest[scaled - high * np.uint32(_GROUP)]
    return text.tobytes()


@lru_cache(maxsize=1)
def _digits() -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    """`0.000` to `1.000`, and `000,` to `999,`: 1001 items of 5 bytes, 1000 of 4."""
    ones = "".join(f"{number / _GROUP:.3f}" for number in range(_GROUP + 1))
    rest = "".join(f"{number:03d}," for number in range(_GROUP))
    return np.frombuffer(ones.encode(), "V5"), np.frombuffer(rest.encode(), "V4")
