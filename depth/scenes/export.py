"""A scene becomes files of chosen formats in a folder, and `scene.json`, which lists them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable

from depth.errors import DepthFileError, InputError
from depth.files import make_folders, sha256_bytes, write_whole
from depth.scenes.formats import colmap, depth_vis, glb, nerfstudio, npz, ply
from depth.scenes.options import DEFAULTS, Options
from depth.scenes.scene import Scene, about
from depth.scenes.view import frame_of

DESCRIPTION = "scene.json"


@dataclass(frozen=True)
class Format:
    """A kind of export.

    names  the files that it makes, by their paths in the folder
    files  those files one by one, with their bytes
    """

    names: Callable[[Scene, Options], list[str]]
    files: Callable[[Scene, Options], Iterator[tuple[str, bytes]]]


FORMATS = {
    "npz": Format(npz.npz_names, npz.npz_files),
    "mini_npz": Format(npz.mini_npz_names, npz.mini_npz_files),
    "glb": Format(glb.names, glb.files),
    "ply": Format(ply.names, ply.files),
    "colmap": Format(colmap.names, colmap.files),
    "nerfstudio": Format(nerfstudio.names, nerfstudio.files),
    "depth_vis": Format(depth_vis.names, depth_vis.files),
}


def formats_named(text: str) -> tuple[str, ...]:
    """The formats of a text such as `npz-glb-colmap`, each once.

    Raises InputError for a name that there is not.
    """
    found = tuple(dict.fromkeys(text.split("-")))
    for name in found:
        if name not in FORMATS:
            raise InputError(
                f"export format {name!r}: expected one or more of {', '.join(FORMATS)}, joined by -"
            )
    return found


def export_scene(
    scene: Scene,
    folder: Path,
    formats: Sequence[str],
    options: Options = DEFAULTS,
    overwrite: bool = False,
) -> list[Path]:
    """Write a scene in one or more FORMATS; returns the files, `scene.json` as the last.

    Each file is whole or not there, and `scene.json` comes after all others. Folders are made. The
    scene stays as it is; the same scene and options give the same bytes.

    overwrite  files of the same names are replaced; without it they are an error

    Raises InputError for a scene that a format cannot hold, or files that are there already;
    DepthFileError if the disk refuses.
    """
    chosen = [FORMATS[name] for name in formats_named("-".join(formats))]
    names = dict.fromkeys(name for form in chosen for name in form.names(scene, options))
    present = [name for name in (*names, DESCRIPTION) if os.path.lexists(folder / name)]
    if present and not overwrite:
        raise InputError(
            f"{folder / present[0]}: is there already; give another folder, or ask to overwrite"
        )
    try:
        make_folders(folder)
        (folder / DESCRIPTION).unlink(missing_ok=True)  # it spoke of files that are now replaced
        return [folder / name for name in _written(scene, folder, chosen, formats, options)]
    except OSError as error:
        raise DepthFileError(f"{folder}: cannot write the scene: {error}") from error


def _written(
    scene: Scene, folder: Path, chosen: list[Format], formats: Sequence[str], options: Options
) -> list[str]:
    """The names of the files, which are now there; a name that two formats have, once."""
    listed: dict[str, dict[str, Any]] = {}
    for form in chosen:
        for name, data in form.files(scene, options):
            if name not in listed:
                make_folders((folder / name).parent)
                write_whole(folder / name, data)
                listed[name] = {"bytes": len(data), "sha256": sha256_bytes(data)}
    description = {
        "format": 1,
        **about(scene),
        "formats": list(formats),
        "options": asdict(options),
        "cameras": [_camera(scene, view, options.size) for view in range(len(scene))],
        "files": listed,
    }
    write_whole(folder / DESCRIPTION, json.dumps(description, indent=1, allow_nan=False) + "\n")
    return [*listed, DESCRIPTION]


def _camera(scene: Scene, view: int, size: str) -> dict[str, Any]:
    frame = frame_of(scene, view, size)
    height, width = frame.size
    return {
        "name": scene.names[view],
        "width_px": width,
        "height_px": height,
        "intrinsics": frame.intrinsics.tolist(),
        "extrinsics": scene.extrinsics[view].tolist(),
    }
