"""A result -> the files of a preset, as bytes, and what is said of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.family import DEPTH
from depth.maps import png
from depth.maps.consumer import NamedBytes, PresetFacts, PresetFiles
from depth.maps.exr import encode_exr
from depth.maps.formats import CODECS
from depth.maps.png import MAX_CODE
from depth.maps.result import FloatArray, Map, Result
from depth.maps.tiff import encode_tiff
from depth.presets import sides
from depth.presets.panoramas import view_files
from depth.presets.shot import NOTHING_KNOWN, Shot
from depth.presets.sp3d import encode_sp3d
from depth.presets.table import (
    CAMERA,
    NAN,
    PICTURE,
    VIEWS,
    Extra,
    Preset,
    check_kind,
    preset_named,
)
from depth.presets.values import Numbers, ends_of, numbers_of

Stored = npt.NDArray[Any]

MEDIA_TYPES = {
    "png": "image/png",
    "tiff": "image/tiff",
    "pfm": "image/x-portable-floatmap",
    "exr": "image/x-exr",
    "colmap": "application/octet-stream",
    "image": "application/x-npy",
    "sp3d": "application/json",
}


def file_names(preset: Preset, base: str) -> list[str]:
    """The names of the files that every result has alone, relative to the folder of its .json.

    A file that needs a camera may come besides, and a file that images of a folder share. base:
    the last part of the stem
    """
    sure = (extra for extra in preset.extras if extra.needs != CAMERA and not extra.name)
    return [f"{preset.folder}{base}{preset.suffix}", *(_name(extra, base) for extra in sure)]


def preset_files(name: str, result: Result, base: str, shot: Shot = NOTHING_KNOWN) -> PresetFiles:
    """The files of a preset for a result.

    base  the last part of the stem, of which the names are made
    shot  what is known of the image: its camera, its pixels

    Raises InputError for a kind of depth that cannot meet the preset, and without the image where
    the preset has it.
    """
    preset = preset_named(name)
    if preset.container == VIEWS:
        return view_files(preset, result, base, shot)
    if result.projection is not None:
        raise InputError(
            f"preset {name}: reads depth along the optical axis of an ordinary image, and this is "
            "a panorama: take its cube faces, with --cube-faces of main.py panorama"
        )
    check_kind(name, result.depth.kind)
    numbers = numbers_of(result, preset.holds)
    stored = _stored(preset, numbers, result.depth)
    files: dict[str, NamedBytes] = {
        DEPTH: (f"{preset.folder}{base}{preset.suffix}", CONTAINERS[preset.container](stored.array))
    }
    for extra in preset.extras:
        data = _side(preset, extra, result, numbers, shot)
        if data is not None:
            files[extra.role] = _name(extra, base), data
    facts = PresetFacts(
        name,
        shot.asked_of(preset),
        preset.holds,
        preset.dtype,
        stored.scale,
        stored.offset,
        preset.invalid,
        int(numbers.valid.size - np.count_nonzero(numbers.valid)) + stored.below_px,
        stored.beyond_px,
        sides.facts_of(name, result, stored.scale, stored.offset),
    )
    return PresetFiles(facts, files)


@dataclass(frozen=True)
class _Stored:
    """Numbers as a file stores them: value = offset + scale * number."""

    array: Stored
    scale: float
    offset: float
    beyond_px: int
    below_px: int = 0  # with depth that is less than half a code


def _stored(preset: Preset, numbers: Numbers, depth: Map) -> _Stored:
    if preset.dtype == "float32":
        values = numbers.values
        if preset.invalid == NAN:
            values = np.where(numbers.valid, values, np.float32(np.nan)).astype(np.float32)
        return _Stored(values, 1.0, 0.0, 0)
    if preset.per_unit is None:
        return _filled(numbers, *ends_of(depth, numbers))
    codes = numbers.values.astype(np.float64) * preset.per_unit + 0.5
    beyond = codes >= MAX_CODE + 1
    below = numbers.valid & (codes < 1)
    codes[beyond] = 0
    counts = int(np.count_nonzero(beyond)), int(np.count_nonzero(below))
    return _Stored(codes.astype(np.uint16), 1 / preset.per_unit, 0.0, *counts)


def _filled(numbers: Numbers, low: float, high: float) -> _Stored:
    """Codes from `low` to `high`; 0 where there is no depth."""
    if low == high:
        return _Stored(np.zeros(numbers.values.shape, np.uint16), 0.0, low, 0)
    scale = (high - low) / MAX_CODE
    codes = np.clip((numbers.values.astype(np.float64) - low) / scale + 0.5, 0, MAX_CODE)
    codes[~numbers.valid] = 0
    return _Stored(codes.astype(np.uint16), scale, low, 0)


def _side(
    preset: Preset, extra: Extra, result: Result, numbers: Numbers, shot: Shot
) -> Optional[bytes]:
    """The bytes of a further file; None where its camera is not known."""
    if extra.needs == CAMERA:
        camera = shot.camera(result)
        return None if camera is None else sides.camera_info(camera)
    if extra.needs == PICTURE:
        if shot.pixels is None:
            raise InputError(f"preset {preset.name}: it has the image beside the depth: give it")
        return png.encode(shot.pixels)
    if extra.role == "open3d":
        return sides.open3d(numbers, shot.camera(result))
    return sides.iw3_config(shot.rate)


def _name(extra: Extra, base: str) -> str:
    return extra.name or f"{extra.folder}{base}{extra.suffix}"


def _encode_colmap(values: FloatArray) -> bytes:
    """COLMAP's Mat<float>: `width&height&channels&`, then rows of little-endian float32."""
    height, width = values.shape
    return f"{width}&{height}&1&".encode() + values.astype("<f4").tobytes()


def _encode_image(values: FloatArray) -> bytes:
    """NPY float32 [1,H,W,3]: a gray image for each frame."""
    stream = io.BytesIO()
    batch = np.repeat(values[np.newaxis, :, :, np.newaxis], 3, axis=3)
    np.save(stream, np.ascontiguousarray(batch), allow_pickle=False)
    return stream.getvalue()


CONTAINERS: Mapping[str, Callable[[Stored], bytes]] = {
    "png": png.encode,
    "tiff": lambda values: encode_tiff(values, ""),
    "pfm": lambda values: CODECS["pfm"].encode(values, ""),
    "exr": lambda values: encode_exr(values, "", "Y"),
    "colmap": _encode_colmap,
    "image": _encode_image,
    "sp3d": lambda values: encode_sp3d(values),
}
