"""Predicted and true depth on disk, read as hostile input.

A prediction is a result of this project, or an array of others: NPY, PFM, or 16-bit gray PNG. True
depth is one of these arrays; 0, and what is not finite, is no measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from depth.errors import DepthFileError, InputError
from depth.evaluation.metrics import Doubles
from depth.family import DEPTH_KINDS
from depth.files import read_regular
from depth.images.header import MAX_PIXELS
from depth.maps.files import SIDECAR_SUFFIX, read_depth
from depth.maps.formats import CODECS, decode_numbers
from depth.maps.result import Provenance

ARRAYS = (".npy", ".pfm", ".png")
_LARGEST_NUMBER = 8  # bytes, of float64
_MAX_FILE_BYTES = MAX_PIXELS * _LARGEST_NUMBER + 4096


@dataclass(frozen=True, eq=False)
class Prediction:
    """Values [H,W], their kind, and what made them where the file says so."""

    values: Doubles
    kind: str
    made: Optional[Provenance] = None


@dataclass(frozen=True)
class Arrays:
    """What an array of others does not say of itself.

    kind   of a prediction: one of DEPTH_KINDS
    scale  stored numbers for 1 m: 256 for KITTI, 1000 for millimetres
    """

    kind: Optional[str] = None
    scale: Optional[float] = None


def read_truth(path: Path, scale: Optional[float]) -> Doubles:
    """True depth [H,W] in metres, 0 where nothing was measured.

    scale  stored numbers for 1 m; None for a file of floats in metres

    Raises DepthFileError for a file that cannot be read, InputError for whole numbers without a
    scale.
    """
    numbers = _numbers(path)
    metres = numbers.astype(np.float64) / _scale(path, numbers, scale, "--truth-scale")
    metres[~(np.isfinite(metres) & (metres > 0))] = 0.0
    return metres


def read_prediction(path: Path, arrays: Arrays) -> Prediction:
    """A result by its .json, by its PNG or NPZ that describes itself, or an array of `arrays.kind`.

    Raises DepthFileError for a file that cannot be read or has values that are not finite,
    InputError for an array whose kind or scale nobody said.
    """
    if arrays.kind not in (None, *DEPTH_KINDS):
        raise InputError(f"--pred-kind {arrays.kind!r}: choose from {', '.join(DEPTH_KINDS)}")
    try:
        return _of_result(path)
    except DepthFileError:
        if arrays.kind is None or path.suffix == SIDECAR_SUFFIX:
            raise
    numbers = _numbers(path)
    values = numbers.astype(np.float64) / _scale(path, numbers, arrays.scale, "--pred-scale")
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise DepthFileError(f"{path.name}: {wrong} predicted values are not finite")
    return Prediction(values, arrays.kind)


def _of_result(path: Path) -> Prediction:
    try:
        result = read_depth(path)
    except DepthFileError as error:
        if path.suffix == SIDECAR_SUFFIX:
            raise
        raise DepthFileError(
            f"{error}. If another program wrote the array, name its kind with --pred-kind"
        ) from error
    return Prediction(result.depth.values.astype(np.float64), result.depth.kind, result.provenance)


def _numbers(path: Path) -> npt.NDArray[Any]:
    """Of what no .json describes, only forms that are decoded here, not by a library."""
    if path.suffix.lower() not in ARRAYS:
        raise DepthFileError(
            f"{path}: no .json beside it names the kind of its values; expected {', '.join(ARRAYS)}"
        )
    try:
        data = read_regular(path, _MAX_FILE_BYTES)
        if path.suffix.lower() == ".npy":
            return decode_numbers(data)
        return CODECS[path.suffix.lower()[1:]].decode(data)[0]
    except OSError as error:
        raise DepthFileError(f"{path}: cannot be read: {error.strerror}") from error
    except DepthFileError as error:
        raise DepthFileError(f"{path}: {error}") from error


def _scale(path: Path, numbers: npt.NDArray[Any], scale: Optional[float], option: str) -> float:
    if scale is None and numbers.dtype.kind != "f":
        raise InputError(
            f"{path.name} holds whole numbers: give {option}, how many are 1 m: 256 for KITTI, "
            "1000 for millimetres"
        )
    if scale is not None and not 0 < scale < float("inf"):
        raise InputError(f"{option} {scale:g}: expected a number over 0")
    return 1.0 if scale is None else scale
