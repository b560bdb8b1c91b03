"""Stored results -> the files of a preset in another folder, and its file for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Optional

from depth.errors import DepthAnythingError, DepthFileError, InputError
from depth.exports.stored import Stored, jsons_in, original_below, read_original
from depth.family import DEPTH
from depth.files import is_full, write_whole
from depth.fitting.fitter import Fitter
from depth.images.read import printable
from depth.maps.consumer import is_inside
from depth.maps.files import SIDECAR_SUFFIX, read_depth, read_sidecar
from depth.maps.result import Result
from depth.presets.files import save_result
from depth.presets.shot import Shot
from depth.presets.summary import WITHOUT, Done, summary_of
from depth.presets.table import Preset
from depth.steps.focal import FocalAsked


@dataclass(frozen=True)
class Made:
    """What became of a stored result: its files, or why there are none.

    fit  how depth was fitted, as a text; "" if it was not
    """

    stored: Stored
    files: Sequence[Path] = ()
    fit: str = ""
    error: Optional[DepthAnythingError] = None


@dataclass(frozen=True)
class PresetExport:
    """What is made of stored results.

    to      the folder that receives the files
    asked   what the user says of the camera
    fitter  moves depth onto measured depth
    image   that the only result was made of
    images  the folder below which there are the images that the .json files name
    """

    preset: Preset
    to: Path
    asked: FocalAsked
    fitter: Optional[Fitter] = None
    image: Optional[Path] = None
    images: Optional[Path] = None

    def check(self, given: Sequence[Path], found: Sequence[Stored]) -> None:
        """Raises InputError for options that do not go together.

        given  the paths that name the results
        """
        place = self.to.resolve()
        folders = {path if path.is_dir() else path.parent for path in given}
        if place in {folder.resolve() for folder in folders}:
            raise InputError("--preset: --to is a folder that is not that of the depth files")
        if self.image is not None and (len(found) > 1 or self.images is not None):
            raise InputError(
                "--image is that of the only result: for several, give --images, the folder of "
                "their images"
            )
        if self.fitter is not None and self.image is None and self.images is None:
            raise InputError("--fit measures at places in the image: give --image, or --images")

    def run(self, found: Sequence[Stored]) -> Iterator[Made]:
        """Make the files of each result; an error of a result stops no other.

        Raises DepthFileError for a full disk.
        """
        taken: dict[str, Stored] = {}  # by the names of the .json files, without their case
        for stored in found:
            try:
                yield self._made(stored, taken)
            except DepthAnythingError as error:
                if is_full(error):
                    raise
                yield Made(stored, error=error)

    def _made(self, stored: Stored, taken: dict[str, Stored]) -> Made:
        """Raises the errors of files and images, and InputError."""
        result, source = read_depth(stored.path), stored.source
        known: dict[str, Any] = {"asked": self.asked}
        path = self.image
        if self.images is not None:
            path = original_below(self.images, stored)
        if path is not None:
            image = read_original(stored.path, path)
            known |= {"pixels": image.pixels, "exif_focal": image.header.focal_px}
            if self.fitter is not None:
                name = path.as_posix() if self.images is None else str(source["path"])
                result = self.fitter.fitted(result, name, image.header)
        shot = Shot.of(source, **known)
        stem = self._stem(stored, shot)
        _check_free(stem, stored, taken)
        files = save_result(result, stem, (), source, preset=self.preset.name, shot=shot)
        return Made(stored, files, _fit_of(result) if self.fitter is not None else "")

    def _stem(self, stored: Stored, shot: Shot) -> Path:
        name = Path(shot.name).name if self.preset.whole_name else ""
        usable = name and "\0" not in name and name != ".."
        return self.to / (stored.stem.with_name(name) if usable else stored.stem)

    def write_summary(self) -> tuple[Optional[Path], str]:
        """Write the preset's file for all results of the folder, also of earlier exports.

        Returns its path, and why there is none where the preset has such a file; else None and "".
        Raises DepthFileError.
        """
        name = self.preset.summary
        data = summary_of(self.preset.name, self._done()) if name else None
        if data is None:
            return None, WITHOUT[self.preset.name] if name else ""
        try:
            write_whole(self.to / name, data)
        except OSError as error:
            place = printable(self.to / name)
            raise DepthFileError(f"{place}: cannot be written: {error.strerror}") from error
        return self.to / name, ""

    def _done(self) -> Iterator[Done]:
        for path in jsons_in(self.to):
            try:
                sidecar = read_sidecar(path)
            except DepthFileError:  # another tool's
                continue
            listed, folder = sidecar.preset, path.parent.relative_to(self.to)
            if listed is None or DEPTH not in listed.files:
                continue
            name = listed.files[DEPTH].name
            if is_inside(name) and (path.parent / name).is_file():
                image = sidecar.source.get("path")
                if not isinstance(image, str) or not is_inside(image):
                    image = (folder / path.stem).as_posix()
                yield Done(image, PurePosixPath(folder.as_posix()), listed)


def _check_free(stem: Path, stored: Stored, taken: dict[str, Stored]) -> None:
    """Raises InputError if the files of a result would replace those of another result.

    taken  gets the place of this one
    """
    beside = stem.with_name(stem.name + SIDECAR_SUFFIX)
    other = taken.setdefault(str(beside).casefold(), stored)
    if other is not stored:
        raise InputError(
            f"{printable(stored.path)}: its files would have the names of those of "
            f"{printable(other.path)}: export them into two folders"
        )
    try:
        maps = read_sidecar(beside).maps.values()
    except DepthFileError:  # none, or another tool's
        return
    if any(each.files for each in maps):
        raise InputError(
            f"{printable(beside)}: a result with depth files of its own is there: give another --to"
        )


def _fit_of(result: Result) -> str:
    return result.fit.text() if result.fit else ""
