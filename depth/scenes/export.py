"""A scene becomes files of chosen formats in a folder, and `scene.json`, which lists them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from depth.errors import DepthFileError, InputError
from depth.files import make_folders, sha256_bytes, write_whole
from depth.scenes.formats import (
    colmap,
    depth_vis,
    feat_vis,
    glb,
    gs_ply,
    gs_video,
    nerfstudio,
    npz,
    ply,
)
from depth.scenes.formats.files import Files
from depth.scenes.options import DEFAULTS, OWN, SOURCE, Options, size_of
from depth.scenes.scene import Scene, about
from depth.scenes.view import Frame, frame_of

DESCRIPTION = "scene.json"


FORMATS: dict[str, Callable[[Scene, Options], Files]] = {
    "npz": npz.npz_files,
    "mini_npz": npz.mini_npz_files,
    "glb": glb.files,
    "ply": ply.files,
    "colmap": colmap.files,
    "nerfstudio": nerfstudio.files,
    "depth_vis": depth_vis.files,
    "feat_vis": feat_vis.files,
    "gs_ply": gs_ply.files,
    "gs_video": gs_video.files,
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
    files: Files = {}
    for name in formats_named("-".join(formats)):
        files.update(
            FORMATS[name](scene, options.of(name))
        )  # a name that two formats have is one file
    present = [name for name in (*files, DESCRIPTION) if os.path.lexists(folder / name)]
    if present and not overwrite:
        raise InputError(
            f"{folder / present[0]}: is there already; give another folder, or ask to overwrite"
        )
    try:
        make_folders(folder)
        (folder / DESCRIPTION).unlink(missing_ok=True)  # it spoke of files that are now replaced
        listed = _written(folder, files)
        description = {**_described(scene, formats, options), "files": listed}
        text = json.dumps(description, indent=1, allow_nan=False) + "\n"
        write_whole(folder / DESCRIPTION, text)
    except OSError as error:
        raise DepthFileError(f"{folder}: cannot write the scene: {error}") from error
    return [folder / name for name in (*files, DESCRIPTION)]


def _written(folder: Path, files: Files) -> dict[str, dict[str, Any]]:
    """The files, which are now there, one by one: only one is in memory."""
    listed = {}
    for name, made in files.items():
        data = made()
        make_folders((folder / name).parent)
        write_whole(folder / name, data)
        listed[name] = {"bytes": len(data), "sha256": sha256_bytes(data)}
    return listed


def _described(scene: Scene, formats: Sequence[str], options: Options) -> dict[str, Any]:
    return {
        "format": 1,
        **about(scene),
        "formats": list(formats),
        "options": asdict(options),
        "sizes": {name: size_of(name, options.size) for name in formats},
        "cameras": [_camera(scene, view, options) for view in range(len(scene))],
    }


def _camera(scene: Scene, view: int, options: Options) -> dict[str, Any]:
    """In px of the source image, unless every file has the scene's own size; `maps`: in its px."""
    size = OWN if options.size == OWN else SOURCE
    return {
        "name": scene.names[view],
        **_lens(frame_of(scene, view, size)),
        "extrinsics": scene.extrinsics[view].tolist(),
        "maps": _lens(frame_of(scene, view, OWN)),
    }


def _lens(frame: Frame) -> dict[str, Any]:
    height, width = frame.size
    intrinsics = frame.intrinsics.tolist()
    return {"width_px": width, "height_px": height, "intrinsics": intrinsics}
