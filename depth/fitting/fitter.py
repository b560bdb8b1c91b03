"""What `--fit` asks: a reference, found by what it is, and how results are moved onto it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, TypeVar, Union

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.fitting.applied import fitted
from depth.fitting.points import points_of, read_points, read_points_folder
from depth.fitting.reconstruction import read_reconstruction
from depth.fitting.samples import Reference
from depth.fitting.sensor import SensorReference
from depth.images.header import ImageHeader
from depth.images.read import printable
from depth.maps.fit import AUTO, COLMAP, FIT_BY, FitBasis
from depth.maps.png import MILLIMETRE
from depth.maps.result import Result
from depth.scenes.colmap.folder import has_model

Fitted = TypeVar("Fitted", bound=Result)
Given = Union[str, "os.PathLike[str]", npt.NDArray[Any], "Fitter"]

_PREFIX = "colmap:"
_BELOW = ("", "sparse/0", "sparse", "0")  # where a model may be in the folder that is given
_METRE = "m"
_MOST_FILES = 1_000_000
_KINDS = (
    "a CSV file of points, a folder of them, a 16-bit PNG of a sensor, a folder of them, or the "
    "folder of a COLMAP model"
)


@dataclass(frozen=True)
class Fitter:
    """A reference, and how results are fitted to it. Safe in any thread.

    by  of FIT_BY
    """

    reference: Reference
    by: str = AUTO

    def basis(self, image: str) -> FitBasis:
        """What the fit of an image depends on. Raises FitError if the reference has nothing."""
        found = self.reference
        unit = _METRE if found.metric else None
        return FitBasis(found.source, found.sha256(image), self.by, unit)

    def fitted(self, result: Fitted, image: str, header: ImageHeader) -> Fitted:
        """A result of an image, moved. Raises FitError as `fitted` of depth/fitting/applied.py.

        image  its name: the path below the folder of images
        """
        samples = self.reference.samples(image, header)
        return fitted(result, samples, (header.height_px, header.width_px), self.basis(image))


def fitter_of(
    given: Given, by: str = AUTO, unit: Optional[str] = None, step: Optional[float] = None
) -> Fitter:
    """The fitter of what a user gives.

    given  a path, with `colmap:` before it or not; points [N,3] of one image: x and y in px, and
           depth in metres; or a fitter
    by     of FIT_BY
    unit   `m`: the COLMAP model is in metres
    step   metres of a code of a sensor's PNG files, by default 0.001

    Raises InputError for options that do not belong together, and what reading raises.
    """
    if isinstance(given, Fitter):
        if (by, unit, step) != (AUTO, None, None):
            raise InputError("a fitter says itself how to fit: leave by, unit and scale out")
        return given
    if by not in FIT_BY:
        raise InputError(f"fit by {by!r}: expected one of {', '.join(FIT_BY)}")
    if unit not in (None, _METRE):
        raise InputError(f"fit unit {unit!r}: expected {_METRE!r}")
    if step is not None and not 0 < step < 1e6:
        raise InputError(f"fit scale {step!r}: expected the metres of a code, over 0")
    if isinstance(given, np.ndarray):
        reference: Reference = points_of(given)
    else:
        reference = _opened(given, unit, step)
    if unit and reference.source != COLMAP:
        raise InputError("--fit-unit says the unit of a COLMAP model; points and sensors have m")
    if step and not isinstance(reference, SensorReference):
        raise InputError("--fit-scale says what the codes of a sensor's PNG mean; here are none")
    return Fitter(reference, by)


def many_of(fitter: Fitter) -> Fitter:
    """The fitter, for images that come one by one. Raises InputError if it names no images."""
    if fitter.reference.of_one_image:
        raise InputError(
            "the measured depth names no image, and there may be many: add the column image to "
            "points, give a folder of files, or fit single results, as by result.fitted(points)"
        )
    return fitter


def _opened(
    given: Union[str, os.PathLike[str]], unit: Optional[str], step: Optional[float]
) -> Reference:
    text = os.fspath(given)
    named = text.startswith(_PREFIX)
    path = _path(text[len(_PREFIX) :] if named else text)
    for below in _BELOW:
        if path.is_dir() and has_model(path / below):
            return read_reconstruction(path / below, unit is not None)
    if named:
        raise InputError(
            f"{printable(path)}: no COLMAP model: expected cameras, images and points3D, as .bin "
            "or .txt, in it or in its sparse/0"
        )
    if path.is_dir():
        return _folder(path, step or MILLIMETRE)
    kind = path.suffix.lower()
    if kind == ".csv":
        return read_points(path)
    if kind == ".png" and path.is_file():
        return SensorReference({"": path}, printable(path), step or MILLIMETRE)
    problem = "no such file or folder" if not path.exists() else "of no kind that is known"
    raise InputError(f"--fit {printable(path)}: {problem}; expected {_KINDS}")


def _path(text: str) -> Path:
    if not text:
        raise InputError(f"--fit: an empty path; expected {_KINDS}")
    try:
        return Path(text).expanduser()
    except (KeyError, RuntimeError):  # no such user; a name such as "~a.csv" is a file's
        return Path(text)


def _folder(folder: Path, step: float) -> Reference:
    files = _files(folder)
    points = [path for path in files if path.suffix.lower() == ".csv"]
    pictures = [path for path in files if path.suffix.lower() == ".png"]
    if points and not pictures:
        return read_points_folder(folder, points)
    if pictures and not points:
        names = {path.relative_to(folder).as_posix(): path for path in pictures}
        return SensorReference(names, printable(folder), step)
    problem = "CSV files and PNG files" if points else "neither CSV files nor PNG files"
    raise InputError(f"--fit {printable(folder)}: it has {problem}; expected {_KINDS}")


def _files(folder: Path) -> list[Path]:
    """Files below a folder, but hidden ones. Links to folders are not followed."""
    found: list[Path] = []
    for parent, subfolders, names in os.walk(folder, onerror=_cannot_list):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        found += [Path(parent, name) for name in sorted(names) if not name.startswith(".")]
        if len(found) > _MOST_FILES:
            raise InputError(f"--fit {printable(folder)}: over {_MOST_FILES} files")
    return found


def _cannot_list(error: OSError) -> None:
    place = printable(Path(error.filename))
    raise InputError(f"{place}: cannot be listed ({error.strerror}); make it readable") from error
