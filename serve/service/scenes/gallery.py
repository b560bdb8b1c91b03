"""A gallery on disk: ROOT/group/scene/{scene.glb, scene.jpg, depth_vis/*.jpg}, as JSON and files.

The JSON is upstream's. Names that begin with a dot are hidden, and no link leads out of the root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote

from depth.scenes.formats.glb import GLB, PICTURE

MOST = 10_000  # groups, scenes of a group, and depth pictures of a scene

DEPTH_FOLDER = "depth_vis"
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def groups(root: Path) -> dict[str, Any]:
    """The answer of manifest.json: groups that have a scene, by name."""
    found = [name for name in _folders(root) if next(_scenes(root, name), None)]
    return {"groups": [{"id": name, "title": name} for name in found]}


def scenes(root: Path, group: str, url: str) -> dict[str, Any]:
    """The answer of manifest/GROUP.json; no items for a group that is not there.

    url  in front of each path: ends in /
    """
    items = []
    for name in _scenes(root, group):
        base = url + quote(f"{group}/{name}", safe="/")
        pictures = _pictures(root / group / name / DEPTH_FOLDER)
        items.append(
            {
                "id": name,
                "title": name,
                "model": f"{base}/{GLB}",
                "thumbnail": f"{base}/{PICTURE}",
                "depth_images": [f"{base}/{DEPTH_FOLDER}/{quote(each)}" for each in pictures],
            }
        )
    return {"group": group, "items": items}


def place(root: Path, path: str) -> Optional[Path]:
    """What a path of a caller names below the root; None for nothing that may be shown."""
    parts = path.split("/")
    if any(not _is_plain(part) for part in parts):
        return None
    try:
        real = Path(os.path.realpath(root))
        found = Path(os.path.realpath(real.joinpath(*parts)))
        inside = real in found.parents and found.exists()
        hidden = any(part.startswith(".") for part in found.relative_to(real).parts)
    except (OSError, ValueError, RuntimeError):  # a name that no file system takes
        return None
    return found if inside and not hidden else None


def _scenes(root: Path, group: str) -> Iterator[str]:
    folder = place(root, group)
    for name in [] if folder is None else _folders(folder):
        if all(place(root, f"{group}/{name}/{file}") for file in (GLB, PICTURE)):
            yield name


def _pictures(folder: Path) -> list[str]:
    with suppress(OSError):
        names = sorted(each.name for each in folder.iterdir() if _is_plain(each.name))
        return [name for name in names if Path(name).suffix.lower() in _PICTURES][:MOST]
    return []


def _folders(folder: Path) -> list[str]:
    with suppress(OSError):
        names = [each.name for each in os.scandir(folder) if _is_plain(each.name) and each.is_dir()]
        return sorted(names)[:MOST]
    return []


def _is_plain(name: str) -> bool:
    bad = not name or name.startswith(".") or set(name) & {"/", "\\", "\0"}
    return not bad and name.isprintable()
