"""What a rerun may leave as it is, by the bytes of the image and by all settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from depth.errors import DepthFileError
from depth.files import sha256_file
from depth.maps.depth_map import Provenance
from depth.maps.files import read_sidecar
from depth.maps.meta import Meta
from serve.folder.manifest import Settings


def stale(image: Path, outputs: Sequence[Path], settings: Settings, made_by: Provenance) -> str:
    """Why the outputs (the .json last) of an image cannot stay, or "" if they can.

    The .json is written last and says what the others are. The image is read last: only if all
    else fits do its bytes matter.
    """
    sidecar = outputs[-1]
    try:
        meta = read_sidecar(sidecar)
    except DepthFileError as error:
        there = os.path.lexists(sidecar)  # unlike Path.exists it takes a name that is too long
        return f"{sidecar.name} cannot be used: {error}" if there else "no result yet"
    return (
        _other_settings(meta, settings, made_by)
        or _not_whole(meta, outputs[:-1])
        or ("" if meta["source"].get("sha256") == digest(image) else "the image changed")
    )


def model_of(sidecar: Path) -> str:
    """The model of the result that is there; "" if there is none."""
    try:
        return str(read_sidecar(sidecar)["provenance"]["model"])
    except DepthFileError:
        return ""


def digest(image: Path) -> str:
    """SHA-256 of a file's bytes; "" for what is no regular file or cannot be read."""
    try:
        return sha256_file(image) if image.is_file() else ""
    except OSError:
        return ""


def _other_settings(meta: Meta, settings: Settings, made_by: Provenance) -> str:
    found = meta["provenance"]
    other = [key for key, value in asdict(made_by).items() if found.get(key) != value]
    if other:
        return f"made with other {', '.join(other)}"
    if set(meta["files"]) != {*settings.formats, *(["preview"] * settings.preview)}:
        return "made in other formats"
    notes = meta["source"].get("notes")
    if settings.remark and not (isinstance(notes, list) and settings.remark in notes):
        return "made with another remark"
    return ""


def _not_whole(meta: Meta, outputs: Sequence[Path]) -> str:
    listed = {entry["name"]: entry["bytes"] for entry in meta["files"].values()}
    for path in outputs:
        size_bytes = path.stat().st_size if path.is_file() else None
        if size_bytes is None or listed.get(path.name) != size_bytes:
            return f"{path.name} is missing or not whole"
    return ""
