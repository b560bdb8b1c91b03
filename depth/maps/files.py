"""Results on disk: `<base>.<format>` is depth, `<base>.<map>.<format>` another map, and
`<base>.json` says what they hold.

The JSON is written last and removed first: where it exists, everything it lists is complete.
`depth/maps/meta.py` describes it. Nothing here keeps state; threads may write different results.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from depth.errors import DepthFileError, InputError
from depth.family import DEPTH, METRES
from depth.files import has_bytes, read_regular, write_set
from depth.images.header import MAX_PIXELS
from depth.maps.consumer import NamedBytes, PresetFiles, is_inside
from depth.maps.formats import CODECS
from depth.maps.meta import (
    MAX_JSON_BYTES,
    Description,
    Encoding,
    ListedMap,
    MapFacts,
    Part,
    Sidecar,
    parse_inside,
    parse_sidecar,
    with_preview,
)
from depth.maps.names import (
    FORMATS,
    PREVIEW_SUFFIX,
    SIDECAR_SUFFIX,
    check_formats,
    depth_first,
    file_name,
    output_names,
)
from depth.maps.png import Coding, coding_for, from_codes, to_codes
from depth.maps.result import FloatArray, Map, Result

__all__ = ["FORMATS", "PREVIEW_SUFFIX", "SIDECAR_SUFFIX", "output_names"]

_BEST_FIRST = sorted(FORMATS, key=lambda name: CODECS[name].dtype != "float32")
_SLACK = 1.01  # of a model's range: what is written may be rounded
_MAX_FILE_BYTES = MAX_PIXELS * 4 + 2 * MAX_JSON_BYTES


def write_result(
    result: Result,
    stem: Path,
    formats: Sequence[str],
    source: Mapping[str, Any],
    preview: bool = False,
    image: Optional[npt.NDArray[np.uint8]] = None,
    preset: Optional[PresetFiles] = None,
) -> list[Path]:
    """Writes the files that `output_names` lists for `stem.name` into `stem.parent`.

    `stem` may contain dots ("x.jpg" makes "x.jpg.png"). `source` is kept as it is given. `image`,
    uint8 [H,W,3] BGR, stands in the preview beside depth. `preset` has further files. Missing
    folders are made. Nothing appears under a final name before every file has been written in
    full onto the disk; an earlier set of the same name is replaced. Raises InputError for values,
    source or formats that cannot be written, DepthFileError if the disk refuses.
    """
    of_preset = [] if preset is None else list(preset.files.values())
    output_names(stem.name, formats, preview, tuple(result.maps), [name for name, _ in of_preset])
    parts = [(name, kind) for name in depth_first(result.maps) for kind in formats]
    names = {part: file_name(stem.name, *part) for part in parts}
    encodings: dict[Part, Encoding] = {}
    pixels: dict[Part, npt.NDArray[Any]] = {}
    for part in parts:
        encodings[part], pixels[part] = _stored(result, *part)
    description = Description(result, source, encodings)
    files: dict[Part, NamedBytes] = {}
    for part in parts:
        data = CODECS[part[1]].encode(pixels.pop(part), description.inside[part])
        files[part] = names[part], data
    picture = None
    if preview:
        from depth.maps.thumbnail import thumbnail

        picture = stem.name + PREVIEW_SUFFIX, thumbnail(result.depth, image)
    beside = stem.name + SIDECAR_SUFFIX, description.beside(files, picture, preset)
    written = [*of_preset, *files.values(), *filter(None, [picture]), beside]
    try:
        return write_set(stem.parent, written)
    except OSError as error:
        raise _refused(stem, error) from error


def add_preview(path: Path, image: Optional[npt.NDArray[np.uint8]] = None) -> Sidecar:
    """Draw the preview of a stored result from its depth file; returns the new content of `path`.

    path   the .json; it lists the preview then. The depth files stay as they are
    image  as in `write_result`

    Raises DepthFileError if a file is missing or damaged, or the disk refuses.
    """
    stem = path.with_name(path.name[: -len(SIDECAR_SUFFIX)])
    data = _read_bytes(path, MAX_JSON_BYTES)
    listed = parse_sidecar(data).maps.get(DEPTH)
    if listed is None:
        raise DepthFileError("it lists no depth file")
    from depth.maps.thumbnail import thumbnail

    picture = stem.name + PREVIEW_SUFFIX, thumbnail(_read_map(path, DEPTH, listed), image)
    text = with_preview(data, picture)
    try:
        write_set(stem.parent, [picture, (path.name, text)])
    except OSError as error:
        raise _refused(stem, error) from error
    return parse_sidecar(text)


def _refused(stem: Path, error: OSError) -> DepthFileError:
    return DepthFileError(
        f"{stem}: cannot write its depth files: {error}; check the folder's permissions and free "
        "space, and the length of the name"
    )


@dataclass(frozen=True)
class MapFile:
    """One file of a map for callers without a disk.

    text  the description that stands inside the file, one line of ASCII; NPY and PFM have no
          place for it
    """

    data: bytes
    encoding: Encoding
    text: str


def encode_map(result: Result, kind: str, source: Mapping[str, Any], name: str = DEPTH) -> MapFile:
    """The file of the map `name` in format `kind`. Raises InputError as `write_result` does."""
    check_formats([kind])
    encoding, pixels = _stored(result, name, kind)
    text = Description(result, source, {(name, kind): encoding}).inside[name, kind]
    return MapFile(CODECS[kind].encode(pixels, text), encoding, text)


def read_depth(path: str | Path) -> Result:
    """The result that `write_result` wrote: of a .json all maps, of a depth file that alone.

    Of the formats that a .json lists, the best is read. PNG and NPZ say themselves what their
    numbers mean; the others need the .json beside them, which also has their sha256. Raises
    DepthFileError for anything missing, damaged, altered or of another kind.
    """
    path = Path(path)
    try:
        return _read_listed(path) if path.suffix == SIDECAR_SUFFIX else _read_file(path)
    except (DepthFileError, InputError) as error:
        text = str(error).replace(f"cannot read {path.name}: ", "cannot be read: ")
        raise DepthFileError(f"{path}: {text}") from error


def read_sidecar(path: Path) -> Sidecar:
    """The checked content of a .json that `write_result` made. Raises DepthFileError."""
    return parse_sidecar(_read_bytes(path, MAX_JSON_BYTES))


def not_whole(sidecar: Sidecar, folder: Path, wanted: Iterable[str]) -> str:
    """The first file name that is wanted or listed, and is missing or has other bytes; else ""."""
    listed = sidecar.files
    for name in dict.fromkeys([*wanted, *listed]):
        found = listed.get(name)
        if not (
            is_inside(name) and found and has_bytes(folder / name, found.size_bytes, found.sha256)
        ):
            return name
    return ""


def _stored(result: Result, name: str, kind: str) -> tuple[Encoding, npt.NDArray[Any]]:
    """How one file stores a map, and the numbers in it."""
    dtype, found = CODECS[kind].dtype, result.maps[name]
    if dtype == "float32":
        return Encoding(dtype, 1.0, 0.0), found.values
    coding = coding_for(found)
    values = found.values
    if found.span is not None and found.kind != METRES:
        values = np.clip(values, *found.span)
    return Encoding(dtype, coding.scale, coding.offset), to_codes(values, coding)


def _read_file(path: Path) -> Result:
    kind = next((kind for kind in FORMATS if path.name.endswith(CODECS[kind].suffix)), None)
    if path.name.endswith(PREVIEW_SUFFIX):
        raise DepthFileError("previews hold no depth values: read the .json of the same name")
    if kind is None:
        raise DepthFileError(f"expected a name that ends in .json or .{', .'.join(FORMATS)}")
    codec, data = CODECS[kind], _read_bytes(path, _MAX_FILE_BYTES)
    pixels, text = codec.decode(data) if codec.reads_alone else (None, None)
    if pixels is not None and text is not None:
        inside = parse_inside(text)
        ((name, facts),) = inside.maps.items()
        if name != DEPTH:
            raise DepthFileError(f"it holds the map {name!r} alone: read the .json beside it")
        found = _restore(pixels, facts, facts.encoding)
        return Result(
            {DEPTH: found}, inside.provenance, inside.focal, inside.fit, inside.projection
        )
    beside = path.with_name(path.name[: -len(codec.suffix)] + SIDECAR_SUFFIX)
    if not beside.exists():
        raise DepthFileError(
            f"its meaning and its sha256 are in {beside.name}, and that is not there: put it "
            "beside the file"
        )
    sidecar = read_sidecar(beside)
    listed = sidecar.maps.get(DEPTH)
    if listed is None or kind not in listed.files:
        raise DepthFileError(f"{beside.name} beside it lists no {kind} file")
    found = _decoded(data, kind, listed)
    return Result(
        {DEPTH: found}, sidecar.provenance, sidecar.focal, sidecar.fit, sidecar.projection
    )


def _read_listed(path: Path) -> Result:
    sidecar = read_sidecar(path)
    if DEPTH not in sidecar.maps:
        raise DepthFileError("it lists no depth file")
    maps = {name: _read_map(path, name, listed) for name, listed in sidecar.maps.items()}
    return Result(maps, sidecar.provenance, sidecar.focal, sidecar.fit, sidecar.projection)


def _read_map(sidecar: Path, name: str, listed: ListedMap) -> Map:
    kind = next((kind for kind in _BEST_FIRST if kind in listed.files), None)
    if kind is None:
        raise DepthFileError(
            f"it lists no {name} file: it has those of a preset alone; give --format npz too"
        )
    entry = listed.files[kind]
    if Path(entry.name).name != entry.name or "\0" in entry.name:
        raise DepthFileError(f"it lists {entry.name!r}: expected a name in its own folder")
    data = _read_bytes(sidecar.with_name(entry.name), _MAX_FILE_BYTES)
    return _decoded(data, kind, listed)


def _decoded(data: bytes, kind: str, listed: ListedMap) -> Map:
    """The map in the bytes of one listed file, whose hash is compared first."""
    entry = listed.files[kind]
    if (len(data), hashlib.sha256(data).hexdigest()) != (entry.size_bytes, entry.sha256):
        raise DepthFileError(
            f"{entry.name} has other bytes than its .json says ({len(data)}, expected "
            f"{entry.size_bytes}): it was altered or replaced; make both again"
        )
    return _restore(CODECS[kind].decode(data)[0], listed, entry)


def _restore(pixels: npt.NDArray[Any], facts: MapFacts, encoding: Encoding) -> Map:
    """The map that `pixels` and their description make together."""
    declared = (facts.height_px, facts.width_px)
    if pixels.shape != declared or encoding.dtype != pixels.dtype.name:
        raise DepthFileError(
            f"it holds {pixels.dtype.name} {pixels.shape}, its description says "
            f"{encoding.dtype} {declared}: they do not belong together"
        )
    values: FloatArray = pixels
    if pixels.dtype != np.float32:
        values = from_codes(pixels, Coding(encoding.scale, encoding.offset))
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        raise DepthFileError("it holds values that are not finite")
    if facts.largest is not None and not values.max() <= facts.largest * _SLACK > 0:
        raise DepthFileError(
            f"its largest value should be {facts.largest:g}, and it holds {values.max():g}: "
            "expected a number over 0 and over every value; they do not belong together"
        )
    return Map(values, facts.kind, facts.largest, facts.focal_divisor)


def _read_bytes(path: Path, limit: int) -> bytes:
    try:
        return read_regular(path, limit)
    except OSError as error:
        raise DepthFileError(f"cannot read {path.name}: {error.strerror}") from error
    except ValueError as error:  # a name that a .json gives and no file system takes
        raise DepthFileError(f"cannot read {path.name!r}: {error}") from error
