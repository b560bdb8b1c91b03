"""The images of a job: none of their outputs replaces a photograph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePath

from depth.errors import InputError
from depth.images.listing import Listing, by_extension, counted, is_image_name, list_folder
from serve.errors import NoImagesError


def images_of(path: Path, output: Path) -> tuple[Path, Listing, list[PurePath]]:
    """The folder and the files that an input means, and the names beside a single image.

    Outputs of a single image are called as if its whole folder were done. Raises InputError as
    `images_in` does.
    """
    if not path.is_file():
        return path, images_in(path, output), []
    beside: list[PurePath] = []
    with suppress(OSError):  # a folder that cannot be listed
        names = {found.name for found in path.parent.iterdir()} - {path.name}
        beside = [PurePath(name) for name in sorted(names) if is_image_name(name)]
    return path.parent, Listing([path], []), beside


def images_in(folder: Path, output: Path) -> Listing:
    """All files under `folder`, without those in the output folder.

    Raises InputError if that is the same folder: the outputs would be the next run's images.
    """
    found, there, made = list_folder(folder), _real(folder), _real(output)
    if made == there:
        raise InputError(f"{output}: both input and output; name another folder for the output")
    if there not in made.parents:
        return found
    return Listing(*(_outside(made, paths) for paths in (found.images, found.others)))


def _outside(made: Path, paths: Sequence[Path]) -> list[Path]:
    return [path for path, place in zip(paths, _places(paths)) if made not in place.parents]


def no_images(where: Path, others: Iterable[Path], option: str) -> NoImagesError:
    """The error of a folder without images, or of a list that names none.

    option  of the command line that another folder can be named with
    """
    there = counted(by_extension(others))
    return NoImagesError(
        f"{where}: no images in it{f', but {there}' * bool(there)}; put some there, or name "
        f"another {option}"
    )


def check_apart(images: Sequence[Path], outputs: Iterable[Path]) -> None:
    """Raises InputError if one of the files to be written is one of the images."""
    written = list(outputs)
    taken = set(_places(images))
    for path, place in zip(written, _places(written)):
        if place in taken:
            raise InputError(
                f"{path}: is an image of the input; name another folder for the output"
            )


def _places(paths: Sequence[Path]) -> list[Path]:
    """Paths with the links in their folders followed; each folder is resolved once."""
    folders = {folder: _real(folder) for folder in {path.parent for path in paths}}
    return [folders[path.parent] / path.name for path in paths]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # unlike Path.resolve it accepts a circle of links
