"""What a depth file says about its numbers: one JSON object, beside the files and inside most.

Keys, in this order (format 1):

    format       1
    kind         "relative_inverse" or "metric"
    unit         null or "m"
    meaning      `unit` and direction in plain words
    height_px    rows
    width_px     columns
    to_image_px  [x, y] scale: a position in the image = scale * position here, both counted from
                 the first pixel's centre; only where `source` has width_px and height_px
    valid_range  [lowest, highest] value in the image; every pixel is valid
    max_depth_m  the far end of a metric model's range, else null
    files        beside the files only: format -> {name, dtype, [scale, offset,] bytes, sha256};
                 "preview" is the picture for eyes
    encoding     inside a file only: {dtype, [scale, offset]}
    provenance   the fields of `Provenance`, and `trained`: false if the weights are random
    source       what the caller says about the image: path, size, sha256, notes

value = offset + scale * code for whole-number dtypes; float32 files hold the values themselves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from depth.errors import DepthFileError, InputError
from depth.family import METRIC, RELATIVE, UNTRAINED
from depth.images.header import MAX_PIXELS
from depth.maps.depth_map import DepthMap, Provenance

FORMAT = 1
MAX_JSON_BYTES = 2**20

_MEANINGS = {
    RELATIVE: (None, "larger is nearer; no unit; comparable only within this image"),
    # Hypersim's ray distances were converted to planar depth for training; VKITTI's are planar.
    METRIC: ("m", "distance along the optical axis in metres"),
}
_TYPES: dict[str, tuple[type, ...]] = {
    "kind": (str,),
    "height_px": (int,),
    "width_px": (int,),
    "max_depth_m": (int, float, type(None)),
    "provenance": (dict,),
    "source": (dict,),
}

Meta = dict[str, Any]


def describe(depth: DepthMap, source: Mapping[str, Any]) -> Meta:
    """The keys that the sidecar and the inside of a file share.

    Raises InputError for values that are not finite.
    """
    low, high = float(depth.values.min()), float(depth.values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"depth values reach from {low} to {high}: expected finite numbers")
    unit, meaning = _MEANINGS[depth.kind]
    height_px, width_px = depth.values.shape
    made_by = depth.provenance
    return {
        "format": FORMAT,
        "kind": depth.kind,
        "unit": unit,
        "meaning": meaning,
        "height_px": height_px,
        "width_px": width_px,
        **_to_image_px((height_px, width_px), source),
        "valid_range": [low, high],
        "max_depth_m": depth.max_depth_m,
        "provenance": {**asdict(made_by), "trained": made_by.weights != UNTRAINED},
        "source": dict(source),
    }


def _to_image_px(size: tuple[int, int], source: Mapping[str, Any]) -> Meta:
    """Corner pixels lie on corner pixels, at every size: see depth/postprocess.py."""
    scales = []
    for key, own in zip(("height_px", "width_px"), size):
        side = source.get(key)
        if not isinstance(side, int):
            return {}
        scales.append((side - 1) / (own - 1) if own > 1 else 1.0)
    return {"to_image_px": scales[::-1]}


def with_part(meta: Meta, part: str, content: Meta) -> Meta:
    """`meta` with `files` or `encoding` at its place, before `provenance`."""
    tail = ("provenance", "source")
    head = {key: value for key, value in meta.items() if key not in tail}
    return {**head, part: content, **{key: meta[key] for key in tail}}


def compact_json(meta: Meta) -> str:
    """One line of ASCII, as text fields inside files want it. Raises InputError."""
    return _dumps(meta, ensure_ascii=True, separators=(",", ":"))


def readable_json(meta: Meta) -> bytes:
    """Indented UTF-8 with a newline at the end. Raises InputError."""
    text = _dumps(meta, ensure_ascii=False, indent=2) + "\n"
    # A file name that is not UTF-8 reaches us with lone surrogates: \udcXX is JSON's way too.
    return text.encode("utf-8", "backslashreplace")


def _dumps(meta: Meta, **options: Any) -> str:
    try:
        return json.dumps(meta, allow_nan=False, **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"source {meta['source']!r} cannot be written as JSON: {error}") from error


def parse(text: str | bytes, part: str) -> Meta:
    """The checked object in `text`, which has `part`: `files` or `encoding`.

    Raises DepthFileError if a key that reading needs is absent or of the wrong type; further keys
    are let pass.
    """
    meta = _loads(text)
    if meta.get("format") != FORMAT:
        raise DepthFileError(
            f"its description has format {meta.get('format')!r}, this version reads {FORMAT}; "
            "read it with the version that wrote it"
        )
    for key, types in {**_TYPES, part: (dict,)}.items():
        _check_type(meta, key, types)
    check_size(meta["height_px"], meta["width_px"])
    made_by = meta["provenance"]
    for field in fields(Provenance):
        if field.default is MISSING or field.name in made_by:
            _check_type(made_by, field.name, (int,) if field.type == "int" else (str,))
    for name, entry in meta["files"].items() if part == "files" else [("", meta[part])]:
        _check_entry(entry, name)
    return meta


def provenance_of(meta: Meta) -> Provenance:
    """The `Provenance` in a parsed description."""
    found = meta["provenance"]
    return Provenance(
        **{field.name: found[field.name] for field in fields(Provenance) if field.name in found}
    )


def check_size(height_px: int, width_px: int) -> None:
    """Raises DepthFileError for a declared size that is not one of a depth map we read."""
    if height_px < 1 or width_px < 1 or height_px * width_px > MAX_PIXELS:
        raise DepthFileError(
            f"it declares {width_px} x {height_px} px: expected 1 to {MAX_PIXELS} pixels"
        )


def _check_entry(entry: Any, name: str) -> None:
    """An entry of `files` called `name`, or the `encoding` of one file, called ""."""
    if not isinstance(entry, dict):
        raise DepthFileError(f"its description of {name!r} is not an object")
    _check_type(entry, "dtype", (str,))
    if name:
        _check_type(entry, "name", (str,))
        _check_type(entry, "bytes", (int,))
        _check_type(entry, "sha256", (str,))
    if not entry["dtype"].startswith("float") and name != "preview":
        _check_type(entry, "scale", (int, float))
        _check_type(entry, "offset", (int, float))


def _check_type(holder: Meta, key: str, types: tuple[type, ...]) -> None:
    value = holder.get(key)
    if key not in holder or isinstance(value, bool) or not isinstance(value, types):
        names = " or ".join(kind.__name__ for kind in types)
        raise DepthFileError(f"its description has no usable {key!r}: expected {names}")


def _loads(text: str | bytes) -> Meta:
    if len(text) > MAX_JSON_BYTES:
        raise DepthFileError(f"its description has more than {MAX_JSON_BYTES} bytes")
    try:
        meta = json.loads(text, parse_constant=_real, parse_float=_real, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise DepthFileError(f"its description is not JSON: {error}") from error
    if not isinstance(meta, dict):
        raise DepthFileError("its description is not a JSON object")
    return meta


def _real(text: str) -> float:
    """A finite number; json would also take NaN, Infinity and 1e999."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _whole(text: str) -> int:
    """A number of ordinary length: converting a million digits takes minutes."""
    if len(text) > 20:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)
