"""A result as bytes: the formats that a caller may ask for, and headers that say what they mean."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Callable, Optional

import cv2
import numpy as np
import numpy.typing as npt

from depth.exports.files import MEDIA_TYPES as EXPORT_TYPES
from depth.exports.files import encode_export
from depth.exports.view import view_of
from depth.family import DEPTH, RELATIVE_INVERSE
from depth.maps.files import MapFile, encode_map
from depth.maps.formats import NPZ_TEXT
from depth.maps.preview import upstream_levels
from depth.maps.result import FloatArray
from depth.maps.thumbnail import panel_px, thumbnail
from depth.presets.encode import MEDIA_TYPES as PRESET_TYPES
from depth.presets.encode import preset_files
from depth.presets.shot import Shot
from depth.presets.table import PRESETS
from depth.sizes import Size
from depth.steps.focal import NOTHING_ASKED, FocalAsked
from serve.jobs.stage import ImageResult, Pixels
from serve.service.failures import RequestError

_FEWEST_DIGITS, _MOST_DIGITS = 6, 9  # that tell two float32 apart
_ROWS_AT_ONCE = 64
_MAX_JSON_PX = 25_000_000


@dataclass(frozen=True)
class Answer:
    """What a caller gets: bytes, and headers that say what they mean."""

    data: bytes
    media_type: str
    headers: Mapping[str, str]
    timing_ms: Mapping[str, float]  # of the stages read, wait, network and encode


@dataclass(frozen=True)
class _Made:
    """What a format is made of: a result, its image, and what the caller said.

    file     the map `name` in the format `stored_as`
    palette  of PALETTES
    """

    result: ImageResult
    pixels: Pixels
    name: str
    file: MapFile
    palette: str
    camera: FocalAsked


@dataclass(frozen=True)
class Form:
    """A format of answers.

    stored_as  the format of depth/maps/formats.py whose numbers it has
    """

    media_type: str
    stored_as: str
    encode: Callable[[_Made], bytes]


def answer_of(
    result: ImageResult,
    pixels: Pixels,
    form: str,
    name: str = DEPTH,
    palette: Optional[str] = None,
    camera: Optional[FocalAsked] = None,
) -> Answer:
    """The map `name` of a result in one of FORMS.

    palette  of PALETTES, for previews
    camera   what the caller says of it

    Raises RequestError for a map that the result lacks (404), or one too large for JSON (400), and
    InputError for depth without a surface.
    """
    if name not in result.maps:
        raise RequestError(404, f"no map {name!r}: this model has {', '.join(result.maps)}")
    begun_s = time.monotonic()
    found, made, asked = result.maps[name], FORMS[form], camera or NOTHING_ASKED
    file = encode_map(result, made.stored_as, result.source, name)
    data = made.encode(_Made(result, pixels, name, file, palette or SPECTRAL, asked))
    view = view_of(result, asked, result.exif_focal_px, _image_size(result))
    timing_ms = {**result.timing_ms, "encode": (time.monotonic() - begun_s) * 1e3}
    headers = {
        "Depth-Kind": found.kind,
        "Depth-Unit": found.unit or "",
        "Depth-Scale": repr(file.encoding.scale),
        "Depth-Offset": repr(file.encoding.offset),
        "Depth-Valid-Range": f"{float(found.values.min())!r} {float(found.values.max())!r}",
        "Depth-Fov-Deg": repr(view.horizontal_deg),
        "Depth-Fov-Source": view.source,
        "Depth-Model": result.provenance.model,
        "Depth-Artifact": result.provenance.artifact,
        "Depth-Description": file.text,
        "Server-Timing": ", ".join(f"{what};dur={ms:.2f}" for what, ms in timing_ms.items()),
    }
    return Answer(data, made.media_type, headers, timing_ms)


def preset_answer(
    result: ImageResult, pixels: Pixels, preset: str, camera: Optional[FocalAsked] = None
) -> Answer:
    """The depth file of a preset. Raises InputError for depth that cannot meet it.

    The headers say how its numbers are stored, and how many pixels have no depth.
    """
    begun_s = time.monotonic()
    known = {"asked": camera or NOTHING_ASKED, "exif_focal": result.exif_focal_px}
    made = preset_files(preset, result, "depth", Shot.of(result.source, pixels=pixels, **known))
    timing_ms = {**result.timing_ms, "encode": (time.monotonic() - begun_s) * 1e3}
    facts = made.facts
    headers = {
        "Depth-Kind": result.depth.kind,
        "Depth-Preset": preset,
        "Depth-Holds": facts.holds,
        "Depth-Scale": repr(facts.scale),
        "Depth-Offset": repr(facts.offset),
        "Depth-Invalid-Px": str(facts.invalid_px),
        "Depth-Beyond-Px": str(facts.beyond_px),
        "Depth-Model": result.provenance.model,
        "Depth-Artifact": result.provenance.artifact,
        "Server-Timing": ", ".join(f"{what};dur={ms:.2f}" for what, ms in timing_ms.items()),
    }
    media_type = PRESET_TYPES[PRESETS[preset].container]
    return Answer(made.files[DEPTH][1], media_type, headers, timing_ms)


def _file(made: _Made) -> bytes:
    return made.file.data


def _all_maps(made: _Made) -> bytes:
    """NPZ: each map under its name, and the description of the depth as a text."""
    stream = io.BytesIO()
    maps = made.result.maps
    arrays = {name: np.ascontiguousarray(found.values) for name, found in maps.items()}
    np.savez(stream, **arrays, **{NPZ_TEXT: np.array(made.file.text)})
    return stream.getvalue()


def _json(made: _Made) -> bytes:
    """The description and the rows of the map.

    Row by row: Python's encoder keeps every other thread waiting as long as a call takes.
    """
    values = made.result.maps[made.name].values
    if values.size > _MAX_JSON_PX:
        raise RequestError(
            400,
            f"a map of {values.shape[1]}x{values.shape[0]} px is too large for JSON; ask for "
            "format=npy, or output_size=model",
        )
    rows = []
    for start in range(0, len(values), _ROWS_AT_ONCE):
        block = short(values[start : start + _ROWS_AT_ONCE])
        rows += [json.dumps(row.tolist(), separators=(",", ":")) for row in block]
    return f'{{"description":{made.file.text},"{made.name}":[{",".join(rows)}]}}'.encode()


def short(values: FloatArray) -> npt.NDArray[np.float64]:
    """float32 values as float64, of which Python prints as few digits as a float32 needs."""
    exact = values.astype(np.float64)
    with np.errstate(divide="ignore"):
        exponents = np.floor(np.log10(np.abs(exact)))
    exponents = np.where(np.isfinite(exponents), exponents, 0.0)
    rounded = exact
    for digits in range(_MOST_DIGITS, _FEWEST_DIGITS - 1, -1):
        scale = 10.0 ** (digits - 1 - exponents)
        shorter = np.rint(exact * scale) / scale
        rounded = np.where(shorter.astype(np.float32) == values, shorter, rounded)
    return rounded


def _preview(made: _Made) -> bytes:
    if made.palette == SPECTRAL:
        return thumbnail(made.result.depth, made.pixels)
    return _coloured(made.result, made.palette)


def _exported(kind: str, made: _Made) -> bytes:
    result = made.result
    exif_focal, size = result.exif_focal_px, _image_size(result)
    return encode_export(result, made.pixels, kind, made.camera, exif_focal, size)


def _image_size(result: ImageResult) -> Size:
    return result.source["height_px"], result.source["width_px"]


def _coloured(result: ImageResult, palette: str) -> bytes:
    """JPEG: depth alone in a palette of OpenCV's, near is its bright end."""
    height_px, width_px = panel_px(*result.depth.values.shape)
    small = cv2.resize(
        result.depth.values, (width_px, height_px), interpolation=cv2.INTER_AREA
    ).astype(np.float32, copy=False)
    levels = upstream_levels(small)
    near = levels if result.depth.kind == RELATIVE_INVERSE else 255 - levels
    table = PALETTES[palette]
    picture = near if table is None else cv2.applyColorMap(near, table)
    return cv2.imencode(".jpg", picture)[1].tobytes()


# Of previews; spectral is the picture beside depth files, with the image and a legend.
SPECTRAL = "spectral"
PALETTES: dict[str, Optional[int]] = {
    SPECTRAL: None,
    "gray": None,
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
}
PREVIEW = "preview"
FORMS: dict[str, Form] = {
    "png": Form("image/png", "png", _file),
    "npy": Form("application/x-npy", "npy", _file),
    "npz": Form("application/x-npz", "npz", _all_maps),
    "exr": Form("image/x-exr", "exr", _file),
    "tiff": Form("image/tiff", "tiff", _file),
    "pfm": Form("image/x-portable-floatmap", "pfm", _file),
    "json": Form("application/json", "npy", _json),
    PREVIEW: Form("image/jpeg", "npy", _preview),
    **{
        kind: Form(media_type, "npy", partial(_exported, kind))
        for kind, media_type in EXPORT_TYPES.items()
    },
}
MEDIA_TYPES = {name: form.media_type for name, form in FORMS.items()}
