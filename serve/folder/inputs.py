"""The images of a job, apart from the files that it writes: no photograph is ever replaced."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from depth.errors import InputError
from depth.images.read import list_images


def images_in(folder: Path, output: Path) -> list[Path]:
    """All images under `folder`, without those in the output folder.

    Raises InputError if that is the same folder: the outputs would be the next run's images.
    """
    images, there, made = list_images(folder), _real(folder), _real(output)
    if made == there:
        raise InputError(f"{output}: both input and output; name another folder for the output")
    if there not in made.parents:
        return images
    return [image for image, place in zip(images, _places(images)) if made not in place.parents]


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
