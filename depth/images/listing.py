"""The image files in a folder, by their names, and the other files that are left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from depth.console import one_line
from depth.errors import InputError
from depth.images.read import printable

# The last five are refused on reading: an image left out silently is worse than one reported.
IMAGE_EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff")
    + (".ppm", ".pgm", ".pnm")
    + (".gif", ".heic", ".heif", ".avif", ".jp2")
)
_VIDEOS = frozenset(
    (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp", ".mts")
)
_SHOWN = 8  # extensions in a line, the most frequent first
_LONGEST = 12  # characters of an extension in a line


@dataclass(frozen=True)
class Listing:
    """Paths of files, both sorted."""

    images: list[Path]
    others: list[Path]  # neither images by their names nor hidden


def list_folder(folder: Path) -> Listing:
    """All files under `folder`, apart by their extensions.

    Hidden files and folders are skipped and links to folders are not followed. Names decide, not
    contents, so that a damaged image is reported when it is read. Raises InputError if the
    folder, or one inside it, cannot be listed.
    """
    if not folder.is_dir():
        raise InputError(f"{printable(folder)}: not a folder; expected a folder of images")
    found = Listing([], [])
    for parent, subfolders, names in os.walk(folder, onerror=_cannot_list):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                (found.images if is_image_name(name) else found.others).append(Path(parent, name))
    return Listing(sorted(found.images), sorted(found.others))


def list_images(folder: Path) -> list[Path]:
    """The images of `list_folder`."""
    return list_folder(folder).images


def is_image_name(name: str) -> bool:
    """Whether a file of this name is listed as an image."""
    return not name.startswith(".") and _extension(Path(name)) in IMAGE_EXTENSIONS


def by_extension(files: Iterable[Path]) -> dict[str, int]:
    """How many files have each extension in lower case, the most frequent first."""
    counts = Counter(map(_extension, files))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], not item[0], item[0])))


def counted(extensions: Mapping[str, int]) -> str:
    """Such as ".ppm 3, .mp4 1 (video), no extension 1"; "" if there is nothing."""
    parts = [
        f"{_shown(name)} {count}{' (video)' * (name in _VIDEOS)}"
        for name, count in list(extensions.items())[:_SHOWN]
    ]
    rest = sum(list(extensions.values())[_SHOWN:])
    return ", ".join([*parts, *[f"others {rest}"] * (rest > 0)])


def _shown(extension: str) -> str:
    if not extension:
        return "no extension"
    if len(extension) > _LONGEST:
        extension = f"{extension[:_LONGEST]}..."
    return repr(extension) if extension != extension.strip() else one_line(extension)


def _extension(path: Path) -> str:
    return path.suffix.lower()


def _cannot_list(error: OSError) -> None:
    folder = printable(Path(error.filename))
    raise InputError(f"{folder}: cannot be listed ({error.strerror}); make it readable") from error
