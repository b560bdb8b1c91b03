"""Depth maps on disk: `<base>.<format>` files, and `<base>.json`, which says what they hold.

The JSON is written last and removed first: where it exists, everything it lists is complete.
`depth/maps/meta.py` describes it. Nothing here keeps state; threads may write different maps.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from depth.errors import DepthFileError, InputError
from depth.images.header import MAX_PIXELS
from depth.maps import png
from depth.maps.depth_map import DepthMap, FloatArray
from depth.maps.formats import CODECS
from depth.maps.meta import (
    MAX_JSON_BYTES,
    Meta,
    compact_json,
    describe,
    parse,
    provenance_of,
    readable_json,
    with_part,
)
from depth.maps.png16 import Coding, coding_for, from_codes, to_codes
from depth.maps.preview import colour_preview

FORMATS = tuple(CODECS)
DEFAULT_FORMAT = "png"
PREVIEW_SUFFIX = ".preview.png"
SIDECAR_SUFFIX = ".json"

_BEST_FIRST = sorted(FORMATS, key=lambda name: CODECS[name].dtype != "float32")
_MAX_FILE_BYTES = MAX_PIXELS * 4 + 2 * MAX_JSON_BYTES


def output_names(base: str, formats: Sequence[str], preview: bool = False) -> list[str]:
    """The file names that `write_depth` makes for `base`, in its order; the JSON is the last.

    Raises InputError for a format that there is not, one named twice, or none.
    """
    _check_formats(formats)
    suffixes = [CODECS[name].suffix for name in formats]
    suffixes += [PREVIEW_SUFFIX] * preview + [SIDECAR_SUFFIX]
    return [base + suffix for suffix in suffixes]


def write_depth(
    depth: DepthMap,
    stem: Path,
    formats: Sequence[str],
    source: Mapping[str, Any],
    preview: bool = False,
) -> list[Path]:
    """Writes the files that `output_names` lists for `stem.name` into `stem.parent`.

    `stem` may contain dots ("x.jpg" makes "x.jpg.png"). `source` is kept as it is given. Missing
    folders are made. Nothing appears under a final name before every file has been written in
    full; an earlier set of the same name is replaced. Raises InputError for depth, source or
    formats that cannot be written, DepthFileError if the disk refuses.
    """
    names = output_names(stem.name, formats, preview)
    meta = describe(depth, source)
    entries: dict[str, Meta] = {}
    try:
        with _Staging(stem.parent) as staging:
            for name, file_name in zip(formats, names):
                encoding, data = _encode(depth, name, meta)
                entries[name] = {"name": file_name, **encoding, **staging.add(file_name, data)}
            if preview:
                data = png.encode(colour_preview(depth))
                size = staging.add(names[-2], data)
                entries["preview"] = {"name": names[-2], "dtype": "uint8", **size}
            staging.add(names[-1], readable_json(with_part(meta, "files", entries)))
            return staging.publish()
    except OSError as error:
        raise DepthFileError(
            f"{stem}: cannot write its depth files: {error}; check the folder's permissions and "
            "free space, and the length of the name"
        ) from error


def encode_depth(depth: DepthMap, name: str, source: Mapping[str, Any]) -> bytes:
    """The bytes of one depth file in format `name`, for callers without a disk.

    NPY and PFM have no place for a description. Raises InputError as `write_depth` does.
    """
    _check_formats([name])
    return _encode(depth, name, describe(depth, source))[1]


def read_depth(path: str | Path) -> DepthMap:
    """The depth map in a file that `write_depth` made, or in the best of those a .json lists.

    What the numbers mean comes from inside the file, or else from the .json beside it, whose
    sha256 must then be the file's. Raises DepthFileError for anything missing, damaged, altered
    or of another kind.
    """
    path = Path(path)
    try:
        return _read_listed(path) if path.suffix == SIDECAR_SUFFIX else _read_file(path)
    except (DepthFileError, InputError) as error:
        raise DepthFileError(f"{path}: {error}") from error


def read_sidecar(path: Path) -> Meta:
    """The checked content of a .json that `write_depth` made. Raises DepthFileError."""
    return parse(_read_bytes(path, MAX_JSON_BYTES), "files")


def _check_formats(formats: Sequence[str]) -> None:
    if not formats or len(set(formats)) != len(formats) or not set(formats) <= set(FORMATS):
        raise InputError(
            f"formats {', '.join(formats) or '(none)'}: expected one or more, each once, of "
            f"{', '.join(FORMATS)}"
        )


def _encode(depth: DepthMap, name: str, meta: Meta) -> tuple[Meta, bytes]:
    """The `encoding` of one file, and its bytes."""
    codec = CODECS[name]
    encoding: Meta = {"dtype": codec.dtype}
    pixels: npt.NDArray[Any] = depth.values
    if codec.dtype != "float32":
        coding = coding_for(depth)
        encoding.update(scale=coding.scale, offset=coding.offset)
        pixels = to_codes(depth.values, coding)
    return encoding, codec.encode(pixels, compact_json(with_part(meta, "encoding", encoding)))


def _read_file(path: Path) -> DepthMap:
    name = next((name for name in FORMATS if path.name.endswith(CODECS[name].suffix)), None)
    if name is None:
        raise DepthFileError(f"expected a name that ends in .json or .{', .'.join(FORMATS)}")
    data = _read_bytes(path, _MAX_FILE_BYTES)
    pixels, text = CODECS[name].decode(data)
    if text is not None:
        meta = parse(text, "encoding")
        return _restore(pixels, meta, meta["encoding"])
    sidecar = path.with_name(path.name[: -len(CODECS[name].suffix)] + SIDECAR_SUFFIX)
    if not sidecar.exists():
        raise DepthFileError(
            f"it holds numbers without their meaning, which is in {sidecar.name}, and that is not "
            "there: put it beside the file"
        )
    meta = read_sidecar(sidecar)
    if name not in meta["files"]:
        raise DepthFileError(f"{sidecar.name} beside it lists no {name} file")
    _check_bytes(data, meta["files"][name])
    return _restore(pixels, meta, meta["files"][name])


def _read_listed(sidecar: Path) -> DepthMap:
    meta = read_sidecar(sidecar)
    name = next((name for name in _BEST_FIRST if name in meta["files"]), None)
    if name is None:
        raise DepthFileError("it lists no depth file")
    entry = meta["files"][name]
    if Path(entry["name"]).name != entry["name"] or "\0" in entry["name"]:
        raise DepthFileError(f"it lists {entry['name']!r}: expected a name in its own folder")
    data = _read_bytes(sidecar.with_name(entry["name"]), _MAX_FILE_BYTES)
    _check_bytes(data, entry)
    return _restore(CODECS[name].decode(data)[0], meta, entry)


def _restore(pixels: npt.NDArray[Any], meta: Meta, encoding: Meta) -> DepthMap:
    """The depth map that `pixels` and their description make together."""
    declared = (meta["height_px"], meta["width_px"])
    if pixels.shape != declared or encoding["dtype"] != pixels.dtype.name:
        raise DepthFileError(
            f"it holds {pixels.dtype.name} {pixels.shape}, its description says "
            f"{encoding['dtype']} {declared}: they do not belong together"
        )
    values: FloatArray = pixels
    if pixels.dtype != np.float32:
        values = from_codes(pixels, Coding(float(encoding["scale"]), float(encoding["offset"])))
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        raise DepthFileError("it holds values that are not finite")
    limit = meta["max_depth_m"]
    return DepthMap(
        values, meta["kind"], None if limit is None else float(limit), provenance_of(meta)
    )


def _check_bytes(data: bytes, entry: Meta) -> None:
    if (len(data), hashlib.sha256(data).hexdigest()) != (entry["bytes"], entry["sha256"]):
        raise DepthFileError(
            f"{entry['name']} has other bytes than its .json says ({len(data)}, expected "
            f"{entry['bytes']}): it was altered or replaced; make both again"
        )


def _read_bytes(path: Path, limit: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > limit:
            raise DepthFileError(f"{path.name} has {size} bytes: expected at most {limit}")
        return path.read_bytes()
    except OSError as error:
        raise DepthFileError(f"cannot read {path.name}: {error.strerror}") from error
    except ValueError as error:  # a name that a .json gives and no file system takes
        raise DepthFileError(f"cannot read {path.name!r}: {error}") from error


class _Staging:
    """Files written in full under temporary names in a folder, then renamed together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waiting: list[tuple[Path, Path]] = []  # temporary, final

    def __enter__(self) -> _Staging:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for temporary, _ in self.waiting:
            temporary.unlink(missing_ok=True)

    def add(self, name: str, data: bytes) -> Meta:
        """Writes a file that will be called `name`; what to record about it."""
        # A short name of its own: `name` may be as long as names can be.
        temporary, final = self.folder / f".depth-{uuid.uuid4().hex}.tmp", self.folder / name
        with suppress(FileNotFoundError):
            final.lstat()  # raises for one that is too long, before anything is replaced
        self.waiting.append((temporary, final))
        temporary.write_bytes(data)
        return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def publish(self) -> list[Path]:
        """Gives every file its name, the last one last."""
        finals = [final for _, final in self.waiting]
        finals[-1].unlink(missing_ok=True)  # it spoke of the files that are now replaced
        for temporary, final in self.waiting:
            temporary.replace(final)
        return finals
