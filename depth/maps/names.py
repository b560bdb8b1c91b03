"""The names of the files of a result: `<base>.<format>`, `<base>.<map>.<format>`, `<base>.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from depth.errors import InputError
from depth.family import DEPTH
from depth.maps.formats import CODECS

FORMATS = tuple(CODECS)
PREVIEW_SUFFIX = ".preview.jpg"
SIDECAR_SUFFIX = ".json"


def output_names(
    base: str,
    formats: Sequence[str],
    preview: bool = False,
    maps: Sequence[str] = (DEPTH,),
    of_preset: Sequence[str] = (),
) -> list[str]:
    """The file names that `write_result` makes for `base`, in its order; the JSON is the last.

    `maps` are the names of the maps that the result has, `of_preset` the files of a preset. Raises
    InputError for a format that there is not, one named twice, or none without a preset, and for a
    format whose file has the name of a preset's file.
    """
    check_formats(formats, bool(of_preset))
    names = [file_name(base, name, kind) for name in depth_first(maps) for kind in formats]
    twice = set(names) & set(of_preset)
    if twice:
        raise InputError(
            f"formats {', '.join(formats)}: the preset has a file {min(twice)} too: leave that "
            "format out, or take another, such as npz"
        )
    return [*of_preset, *names, *[base + PREVIEW_SUFFIX] * preview, base + SIDECAR_SUFFIX]


def sidecar_in(names: Iterable[str]) -> Optional[str]:
    """The .json of a result among the names of its files: the last, for a preset may have some."""
    found = [name for name in names if name.endswith(SIDECAR_SUFFIX)]
    return found[-1] if found else None


def check_formats(formats: Sequence[str], may_be_none: bool = False) -> None:
    """Raises InputError unless these are FORMATS, each once, and one or more unless none may be."""
    if not formats and may_be_none:
        return
    if not formats or len(set(formats)) != len(formats) or not set(formats) <= set(FORMATS):
        raise InputError(
            f"formats {', '.join(formats) or '(none)'}: expected one or more, each once, of "
            f"{', '.join(FORMATS)}"
        )


def depth_first(maps: Iterable[str]) -> list[str]:
    """The names of maps in the order of their files."""
    return [DEPTH, *sorted(name for name in maps if name != DEPTH)]


def file_name(base: str, name: str, kind: str) -> str:
    """The file of the map `name` in the format `kind`."""
    return base + ("" if name == DEPTH else f".{name}") + CODECS[kind].suffix


def renamed(meta: Mapping[str, Any], base: str, of_preset: Mapping[str, str]) -> dict[str, Any]:
    """The content of a .json whose files are named after `base`.

    meta       content that `parse_sidecar` takes, of formats that there are
    of_preset  the names of a preset's files by their roles
    """
    maps = {}
    for name, about in meta["maps"].items():
        names = {kind: file_name(base, name, kind) for kind in about["files"]}
        maps[name] = {**about, "files": _named(about["files"], names)}
    found = {**meta, "maps": maps}
    if meta["preview"] is not None:
        found["preview"] = {**meta["preview"], "name": base + PREVIEW_SUFFIX}
    if meta.get("preset") is not None:
        found["preset"] = {**meta["preset"], "files": _named(meta["preset"]["files"], of_preset)}
    return found


def _named(files: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {key: {**file, "name": names[key]} for key, file in files.items()}
