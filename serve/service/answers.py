"""A result as bytes: the formats that a caller may ask for, and headers that say what they mean."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

import numpy as np

from depth.family import DEPTH
from depth.maps.files import MapFile, encode_map
from depth.maps.formats import NPZ_TEXT
from depth.maps.thumbnail import thumbnail
from serve.jobs.stage import ImageResult, Pixels
from serve.service.failures import RequestError


@dataclass(frozen=True)
class Answer:
    """What a caller gets: bytes, and headers that say what they mean."""

    data: bytes
    media_type: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Form:
    """A format of answers.

    stored_as  the format of depth/maps/formats.py whose numbers it has
    encode     makes it of a result, the image's pixels, and the file of the map in that format
    """

    media_type: str
    stored_as: str
    encode: Callable[[ImageResult, Pixels, MapFile, str], bytes]


def answer_of(result: ImageResult, pixels: Pixels, form: str, name: str = DEPTH) -> Answer:
    """The map `name` of a result in one of FORMS. Raises RequestError for a map that it lacks."""
    if name not in result.maps:
        raise RequestError(400, f"no map {name!r}: this model has {', '.join(result.maps)}")
    begun_s = time.monotonic()
    found, made = result.maps[name], FORMS[form]
    file = encode_map(result, made.stored_as, result.source, name)
    data = made.encode(result, pixels, file, name)
    timing_ms = {**result.timing_ms, "encode": (time.monotonic() - begun_s) * 1e3}
    headers = {
        "Depth-Kind": found.kind,
        "Depth-Unit": found.unit or "",
        "Depth-Scale": repr(file.encoding.scale),
        "Depth-Offset": repr(file.encoding.offset),
        "Depth-Model": result.provenance.model,
        "Depth-Artifact": result.provenance.artifact,
        "Depth-Description": file.text,
        "Server-Timing": ", ".join(f"{what};dur={ms:.2f}" for what, ms in timing_ms.items()),
    }
    return Answer(data, made.media_type, headers)


def _file(_result: ImageResult, _pixels: Pixels, file: MapFile, _name: str) -> bytes:
    return file.data


def _all_maps(result: ImageResult, _pixels: Pixels, file: MapFile, _name: str) -> bytes:
    """NPZ: each map under its name, and the description of the depth as a text."""
    stream = io.BytesIO()
    arrays = {name: np.ascontiguousarray(found.values) for name, found in result.maps.items()}
    np.savez(stream, **arrays, **{NPZ_TEXT: np.array(file.text)})
    return stream.getvalue()


def _json(result: ImageResult, _pixels: Pixels, file: MapFile, name: str) -> bytes:
    whole = {"description": json.loads(file.text), "values": result.maps[name].values.tolist()}
    return json.dumps(whole, separators=(",", ":")).encode()


def _preview(result: ImageResult, pixels: Pixels, _file: MapFile, _name: str) -> bytes:
    return thumbnail(result.depth, pixels)


FORMS: dict[str, Form] = {
    "png": Form("image/png", "png", _file),
    "npy": Form("application/x-npy", "npy", _file),
    "npz": Form("application/x-npz", "npz", _all_maps),
    "exr": Form("image/x-exr", "exr", _file),
    "tiff": Form("image/tiff", "tiff", _file),
    "pfm": Form("image/x-portable-floatmap", "pfm", _file),
    "json": Form("application/json", "npy", _json),
    "preview": Form("image/jpeg", "npy", _preview),
}


def chosen(accept: str) -> str:
    """The form that an `Accept` header prefers (RFC 9110, 12.5.1). Raises RequestError: 406."""
    if not accept.strip():
        return "png"
    for media_range, quality in sorted(_ranges(accept), key=lambda each: -each[1]):
        for name, form in FORMS.items():
            if quality > 0 and _fits(form.media_type, media_range):
                return name
    have = ", ".join(form.media_type for form in FORMS.values())
    raise RequestError(406, f"Accept: {accept[:200]!r} takes none of {have}")


def _ranges(accept: str) -> list[tuple[str, float]]:
    found = []
    for part in accept.split(","):
        media_range, *parameters = (word.strip() for word in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.lower().startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        found.append((media_range.lower(), quality))
    return found


def _fits(media_type: str, media_range: str) -> bool:
    kind, _, rest = media_range.partition("/")
    return media_range in ("*/*", media_type) or (rest == "*" and media_type.startswith(f"{kind}/"))
