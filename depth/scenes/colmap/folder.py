"""A COLMAP model in its folder, in binary or in text."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from depth.errors import InputError
from depth.images.read import printable
from depth.scenes.colmap import binary, text
from depth.scenes.colmap.posed import Posed
from depth.scenes.colmap.tracks import Tracks

_FORMS = {"bin": binary, "txt": text}
_PARTS = ("cameras", "images")


def has_model(folder: Path) -> bool:
    """Whether a folder has the files of a model."""
    return _form(folder) is not None


def read_model(folder: Path) -> list[Posed]:
    """The images of the model in a folder such as `sparse/0`, in the file's order.

    Takes `cameras.bin` and `images.bin`, or both as `.txt`. Raises InputError,
    with file and record, for a model that is damaged, not there, or of a camera model that is not
    done.
    """
    form = _form(folder)
    if form is None:
        raise InputError(
            f"{printable(folder)}: no COLMAP model: expected cameras and images, as .bin or .txt"
        )
    reader = _FORMS[form]
    path = folder / f"cameras.{form}"
    try:
        lenses = reader.read_cameras(path)
        path = folder / f"images.{form}"
        found = list(reader.read_images(path, lenses))
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from error
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read: {error.strerror}") from error
    if not found:
        raise InputError(f"{printable(path)}: it has no image")
    return found


def read_points(folder: Path) -> Tracks:
    """The points of the model in a folder, and which images see each.

    Raises InputError, with file and record, for points that are damaged or not there.
    """
    form = _form(folder)
    path = folder / f"points3D.{form or 'bin'}"
    try:
        return _FORMS[form or "bin"].read_points(path)
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from error
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read: {error.strerror}") from error


def _form(folder: Path) -> Optional[str]:
    for form in _FORMS:
        if all((folder / f"{part}.{form}").is_file() for part in _PARTS):
            return form
    return None
