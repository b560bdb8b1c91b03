"""What a rerun may leave as it is, by the bytes of the image and by all settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from depth.errors import DepthFileError
from depth.images.file import ImageFile
from depth.maps.files import read_sidecar
from depth.maps.meta import Sidecar
from serve.jobs.entry import Settings


def stale(file: ImageFile, outputs: Sequence[Path], maps: Sequence[str], settings: Settings) -> str:
    """Why the outputs (the .json last) of an image cannot stay, or "" if they can.

    `maps` are the names of the maps of a result. The .json is written last and says what the
    other files are. The image is hashed only if all else fits.
    """
    path = outputs[-1]
    try:
        sidecar = read_sidecar(path)
    except DepthFileError as error:
        there = os.path.lexists(path)  # unlike Path.exists it takes a name that is too long
        return f"{path.name} cannot be used: {error}" if there else "no result yet"
    return (
        _other_settings(sidecar, maps, settings)
        or _not_whole(sidecar, outputs[:-1])
        or ("" if sidecar.source.get("sha256") == file.sha256 else "the image changed")
    )


def model_of(sidecar: Path) -> str:
    """The model of the result that is there; "" if there is none."""
    try:
        return read_sidecar(sidecar).provenance.model
    except DepthFileError:
        return ""


def _other_settings(sidecar: Sidecar, maps: Sequence[str], settings: Settings) -> str:
    if settings.provenance is None:
        return "its program is not made yet"
    found = asdict(sidecar.provenance)
    wanted = asdict(settings.provenance)
    other = [name for name, value in wanted.items() if found[name] != value]
    if sidecar.focal != settings.focal and "steps" not in other:
        other.append("focal length")
    if other:
        return f"made with other {', '.join(other)}"
    if set(sidecar.maps) != set(maps):
        return "made of other maps"
    formats = [set(listed.files) for listed in sidecar.maps.values()]
    if any(names != set(settings.formats) for names in formats):
        return "made in other formats"
    if (sidecar.preview is not None) != settings.preview:
        return "made in other formats"
    notes = sidecar.source.get("notes")
    if settings.remark and not (isinstance(notes, list) and settings.remark in notes):
        return "made with another remark"
    return ""


def _not_whole(sidecar: Sidecar, outputs: Sequence[Path]) -> str:
    listed = {
        file.name: file.size_bytes for each in sidecar.maps.values() for file in each.files.values()
    }
    if sidecar.preview is not None:
        listed[sidecar.preview.name] = sidecar.preview.size_bytes
    for path in outputs:
        size_bytes = path.stat().st_size if path.is_file() else None
        if size_bytes is None or listed.get(path.name) != size_bytes:
            return f"{path.name} is missing or not whole"
    return ""
