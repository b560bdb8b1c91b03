"""What depth files say about their numbers: one JSON object, beside the files and inside most.

Keys, in this order (format 2):

    format      2
    maps        name -> what the map is; "depth" is always there, or the only one inside its file
      kind          "relative_inverse", "relative_depth", "focal_normalised", "metres",
                    "scene_units", "sky", "confidence"
      unit          "m" or null
      meaning       unit and direction in plain words
      height_px     rows
      width_px      columns
      to_image_px   [x, y] scale: a position in the image = scale * position here, both counted from
                    the first pixel's centre; null unless `source` has width_px and height_px
      valid_range   [lowest, highest] value; every pixel is valid
      largest       the far end of the model's range, else null
      focal_divisor of focal_normalised: metres = value * focal length / divisor, with the focal
                    length in px of an image of model_width_px x model_height_px; else null
      files         beside the files only: format -> {name, dtype, scale, offset, size_bytes,
                    sha256}
      encoding      inside a file only: {dtype, scale, offset}
    preview     beside the files only: {name, size_bytes, sha256} of the picture for eyes, or null
    preset      beside the files only, and only of a preset: see depth/maps/consumer.py
    focal       {px, source} that metres were made with, px of the network's input; else null
    fit         the fields of `FitRecord` in depth/maps/fit.py, if depth was fitted; else null
    projection  of a panorama only: the fields of `Projection`
    provenance  the fields of `Provenance`, and `trained`: false if the weights are random
    source      what the caller says about the image: path, size, sha256, notes

value = offset + scale * stored number; float32 files have scale 1 and offset 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Optional, TypeVar, Union

from depth.artifact.strict_json import decode, parse_object
from depth.errors import DepthFileError, InputError
from depth.family import UNTRAINED
from depth.files import localised
from depth.images.header import MAX_PIXELS
from depth.maps.consumer import ListedPreset, NamedBytes, Picture, PresetFiles
from depth.maps.fit import FitRecord
from depth.maps.meanings import meaning_of
from depth.maps.projection import Projection
from depth.maps.result import Focal, Map, Provenance, Result

FORMAT = 2
MAX_JSON_BYTES = 2**20

Meta = dict[str, Any]
Part = tuple[str, str]  # a map by name, and the format of one of its files
T = TypeVar("T")


@dataclass(frozen=True)
class Encoding:
    """How one file stores values: value = offset + scale * stored number."""

    dtype: str
    scale: float
    offset: float


@dataclass(frozen=True)
class ListedFile(Encoding):
    """One file of a map, as the .json lists it."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class MapFacts:
    """What reading needs to know of a map."""

    kind: str
    height_px: int
    width_px: int
    largest: Optional[float]
    focal_divisor: Optional[float]


@dataclass(frozen=True)
class ListedMap(MapFacts):
    """A map in a .json."""

    files: Mapping[str, ListedFile]


@dataclass(frozen=True)
class EncodedMap(MapFacts):
    """A map inside its file."""

    encoding: Encoding


@dataclass(frozen=True)
class Sidecar:
    """The .json beside the files."""

    maps: Mapping[str, ListedMap]
    preview: Optional[Picture]
    focal: Optional[Focal]
    fit: Optional[FitRecord]
    projection: Optional[Projection]
    provenance: Provenance
    source: Mapping[str, Any]
    preset: Optional[ListedPreset]

    @property
    def files(self) -> dict[str, Union[ListedFile, Picture]]:
        """Every file that is listed, by name."""
        found: dict[str, Union[ListedFile, Picture]] = {
            file.name: file for each in self.maps.values() for file in each.files.values()
        }
        if self.preview is not None:
            found[self.preview.name] = self.preview
        if self.preset is not None:
            found.update({file.name: file for file in self.preset.files.values()})
        return found


@dataclass(frozen=True)
class Inside:
    """The description inside a file, of one map."""

    maps: Mapping[str, EncodedMap]
    focal: Optional[Focal]
    fit: Optional[FitRecord]
    projection: Optional[Projection]
    provenance: Provenance
    source: Mapping[str, Any]


class Description:
    """What the files of a result say about it.

    source     what the caller says about the image, kept as it is given
    encodings  of each file, by its part
    inside     the text inside each file: one line of ASCII

    Raises InputError for values that are not finite, and for a source that JSON cannot say.
    """

    def __init__(
        self, result: Result, source: Mapping[str, Any], encodings: Mapping[Part, Encoding]
    ) -> None:
        made_by = result.provenance
        self._encodings = {part: asdict(encoding) for part, encoding in encodings.items()}
        projection = result.projection
        named = dict.fromkeys(name for name, _ in encodings) or result.maps
        self._maps = {name: _about(result.maps[name], source, projection) for name in named}
        self._rest = {
            "focal": None if result.focal is None else asdict(result.focal),
            "fit": None if result.fit is None else asdict(result.fit),
            **({} if projection is None else {"projection": asdict(projection)}),
            "provenance": {**asdict(made_by), "trained": made_by.weights != UNTRAINED},
            "source": dict(source),
        }
        self.inside = {part: self._text(*part) for part in encodings}

    def beside(
        self,
        files: Mapping[Part, NamedBytes],
        preview: Optional[NamedBytes],
        preset: Optional[PresetFiles] = None,
    ) -> bytes:
        """The JSON beside the files, in indented UTF-8."""
        maps: Meta = {name: {**about, "files": {}} for name, about in self._maps.items()}
        for part, file in files.items():
            name, kind = part
            listed = asdict(Picture.of(file))
            maps[name]["files"][kind] = {"name": file[0], **self._encodings[part], **listed}
        picture = None if preview is None else asdict(Picture.of(preview))
        by_preset = {} if preset is None else {"preset": preset.listed()}
        return dump_beside(
            {"format": FORMAT, "maps": maps, "preview": picture, **by_preset, **self._rest}
        )

    def _text(self, name: str, kind: str) -> str:
        facts = {**self._maps[name], "encoding": self._encodings[name, kind]}
        whole = {"format": FORMAT, "maps": {name: facts}, **self._rest}
        return _dumps(whole, ensure_ascii=True, separators=(",", ":"))


def with_preview(beside: bytes, preview: NamedBytes) -> bytes:
    """The JSON beside the files, which `parse_sidecar` takes, with another preview."""
    return dump_beside({**parse_object(beside), "preview": asdict(Picture.of(preview))})


def dump_beside(whole: Meta) -> bytes:
    """The content of a .json in indented UTF-8. Raises InputError for what JSON cannot say."""
    text = _dumps(whole, ensure_ascii=False, indent=2) + "\n"
    # A file name that is not UTF-8 reaches us with lone surrogates: \udcXX is JSON's way too.
    return text.encode("utf-8", "backslashreplace")


def _about(found: Map, source: Mapping[str, Any], projection: Optional[Projection]) -> Meta:
    """What is said of a map, less its files. Raises InputError for values that are not finite."""
    low, high = float(found.values.min()), float(found.values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"depth values reach from {low} to {high}: expected finite numbers")
    height_px, width_px = found.values.shape
    return {
        "kind": found.kind,
        "unit": found.unit,
        "meaning": meaning_of(found.kind, projection),
        "height_px": height_px,
        "width_px": width_px,
        "to_image_px": _to_image_px((height_px, width_px), source),
        "valid_range": [low, high],
        "largest": found.largest,
        "focal_divisor": found.focal_divisor,
    }


def _to_image_px(size: tuple[int, int], source: Mapping[str, Any]) -> Optional[list[float]]:
    """Corner pixels lie on corner pixels, at every size: see depth/postprocess.py."""
    scales = []
    for key, own in zip(("height_px", "width_px"), size):
        side = source.get(key)
        if not isinstance(side, int):
            return None
        scales.append((side - 1) / (own - 1) if own > 1 else 1.0)
    return scales[::-1]


def _dumps(meta: Meta, **options: Any) -> str:
    try:
        return json.dumps(meta, allow_nan=False, **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"source {meta['source']!r} cannot be written as JSON: {error}") from error


def parse_sidecar(data: bytes) -> Sidecar:
    """The checked content of a .json. Raises DepthFileError; further keys are let pass."""
    return _parse(Sidecar, data)


def parse_inside(text: str) -> Inside:
    """The checked description inside a file. Raises DepthFileError; further keys are let pass."""
    found = _parse(Inside, text.encode("utf-8", "backslashreplace"))
    if len(found.maps) != 1:
        raise DepthFileError(f"its description names {len(found.maps)} maps, expected its own")
    return found


def _parse(kind: type[T], data: bytes) -> T:
    if len(data) > MAX_JSON_BYTES:
        raise DepthFileError(f"its description has more than {MAX_JSON_BYTES} bytes")
    try:
        meta = localised(parse_object(data))
    except ValueError as error:
        raise DepthFileError(f"its description is not usable JSON: {error}") from error
    if meta.get("format") != FORMAT:
        raise DepthFileError(
            f"its description has format {meta.get('format')!r}, this version reads {FORMAT}; "
            "read it with the version that wrote it"
        )
    try:
        found = decode(
            kind, {"preset": None, "fit": None, "projection": None, **meta}, further=True
        )
    except ValueError as error:
        raise DepthFileError(f"its description: {error}") from error
    maps: Mapping[str, MapFacts] = found.maps  # type: ignore[attr-defined]
    for facts in maps.values():
        check_size(facts.height_px, facts.width_px)
    return found


def check_size(height_px: int, width_px: int) -> None:
    """Raises DepthFileError for a declared size that is not one of a depth map we read."""
    if height_px < 1 or width_px < 1 or height_px * width_px > MAX_PIXELS:
        raise DepthFileError(
            f"it declares {width_px} x {height_px} px: expected 1 to {MAX_PIXELS} pixels"
        )
