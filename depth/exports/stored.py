"""Stored results, one by one or in folders, and the images that they were made of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Optional

from depth.artifact.strict_json import parse_object
from depth.errors import InputError
from depth.files import read_regular
from depth.images.read import SourceImage, printable, read_image
from depth.maps.consumer import is_inside
from depth.maps.files import SIDECAR_SUFFIX, read_sidecar
from depth.maps.meta import MAX_JSON_BYTES

_OURS = {"maps", "provenance"}  # keys of the .json of a result


@dataclass(frozen=True)
class Stored:
    """A stored result.

    path  its .json, or one of its depth files
    stem  of its files, relative to a folder that receives results
    """

    path: Path
    stem: PurePosixPath

    @property
    def source(self) -> dict[str, Any]:
        """What its .json says of its image; {} for a depth file. Raises DepthFileError."""
        return dict(read_sidecar(self.path).source) if self.path.suffix == SIDECAR_SUFFIX else {}


@dataclass(frozen=True)
class StoredResults:
    """Stored results, and how many .json files beside them are none."""

    found: list[Stored]
    others: int


def stored_in(given: Sequence[Path], without: Optional[Path] = None) -> StoredResults:
    """The results that paths name: files as they are, and every .json of a result below a folder.

    without  a folder that is left out

    Hidden files are left out, and links to folders are not followed. Raises InputError for a folder
    without results, or that cannot be listed.
    """
    found: dict[Stored, None] = {}  # each once, in their order
    others = 0
    for path in given:
        if not path.is_dir():
            found[Stored(path, PurePosixPath(path.stem))] = None
            continue
        results, count = _in_folder(path, without)
        if not results:
            raise InputError(
                f"{printable(path)}: no .json of a result in it; name an output folder of "
                "inference.py"
            )
        found.update(dict.fromkeys(results))
        others += count - len(results)
    return StoredResults(list(found), others)


def _in_folder(folder: Path, without: Optional[Path]) -> tuple[list[Stored], int]:
    """The results of a folder, and how many .json files there are."""
    paths = list(jsons_in(folder, without))
    results = []
    for path in filter(_is_result, paths):
        stem = path.relative_to(folder).as_posix()[: -len(SIDECAR_SUFFIX)]
        results.append(Stored(path, PurePosixPath(stem)))
    return results, len(paths)


def jsons_in(folder: Path, without: Optional[Path] = None) -> Iterator[Path]:
    """The .json files below a folder, sorted in each; see `stored_in`. Raises InputError."""
    left_out = without and without.resolve()
    for parent, folders, names in os.walk(folder, onerror=_cannot_list):
        place = Path(parent)
        if left_out is not None and place.resolve() == left_out:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(SIDECAR_SUFFIX) and not name.startswith("."):
                yield place / name


def read_original(depth: Path, image: Path) -> SourceImage:
    """The image that a stored result was made of.

    Raises InputError if the .json says that the depth is of other bytes, ImageError for what is no
    image.
    """
    found = read_image(image)
    known = Stored(depth, PurePosixPath()).source.get("sha256")
    if known and known != found.sha256:
        raise InputError(f"{depth}: its depth is of another image: give the one that it names")
    return found


def original_below(folder: Path, stored: Stored) -> Path:
    """The path of the image that a .json names, below a folder of images.

    Raises InputError for a .json that names none, or one elsewhere.
    """
    named = stored.source.get("path")
    if not isinstance(named, str) or "\0" in named or not is_inside(named):
        raise InputError(
            f"{printable(stored.path)}: names no image below --images: export it alone, and give "
            "--image"
        )
    return folder / named


def _is_result(path: Path) -> bool:
    with suppress(OSError, ValueError, RecursionError):
        return set(parse_object(read_regular(path, MAX_JSON_BYTES))) >= _OURS
    return False


def _cannot_list(error: OSError) -> None:
    folder = printable(Path(error.filename))
    raise InputError(f"{folder}: cannot be listed ({error.strerror}); make it readable") from error
