"""Points that a person or a program measured, in CSV files.

The header names the columns x_px, y_px and depth_m, and in a file for several images also image;
further columns are let pass. x_px and y_px count px of the upright image, 0 at the centre of the
first pixel. depth_m is the distance along the optical axis in metres.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from depth.errors import FitError, InputError
from depth.files import read_regular, sha256_bytes
from depth.fitting.names import Names
from depth.fitting.samples import Samples, digest_of
from depth.images.header import ImageHeader
from depth.images.read import printable
from depth.maps.fit import POINTS

COLUMNS = ("x_px", "y_px", "depth_m")
IMAGE = "image"
MAX_BYTES, MAX_ROWS = 256_000_000, 5_000_000

_LARGEST = 1e9  # of a coordinate or a depth

Rows = npt.NDArray[np.float64]  # [N,3]: x, y, depth


@dataclass(frozen=True)
class PointsReference:
    """Points by the name of their image; those of "" belong to the only image there is."""

    rows: Mapping[str, Rows]
    place: str  # for people
    source: str = POINTS
    metric: bool = True

    @property
    def of_one_image(self) -> bool:
        return "" in self.rows

    def digest(self) -> str:
        return digest_of(self.rows, lambda name: sha256_bytes(self.rows[name].tobytes()))

    def check(self, images: Collection[str]) -> None:
        if not self.of_one_image:
            self._names.check(images)
        elif len(images) != 1:
            raise InputError(
                f"{self.place}: it has no column {IMAGE!r}, and there are {len(images)} images: "
                "add the column, or give a folder with a file NAME.csv for each NAME.jpg"
            )

    def sha256(self, image: str) -> str:
        return sha256_bytes(self._of(image).tobytes())

    def samples(self, image: str, header: ImageHeader) -> Samples:
        x, y, depth = self._of(image).T
        inside = (x > -1) & (y > -1) & (x < header.width_px) & (y < header.height_px)
        if not inside.all():
            first = int(np.argmin(inside))
            raise FitError(
                f"{self.place}: point {x[first]:g}, {y[first]:g} is outside of {image}, which has "
                f"{header.width_px}x{header.height_px} px: expected px of this upright image"
            )
        return Samples(x, y, depth)

    def _of(self, image: str) -> Rows:
        return self.rows[""] if self.of_one_image else self.rows[self._names.of(image)]

    @cached_property
    def _names(self) -> Names:
        return Names(self.rows)


def points_of(rows: Any) -> PointsReference:
    """Points [N,3] of the only image there is: x and y in px, and depth in metres.

    Raises FitError for another array, or numbers that are no points.
    """
    try:
        found = np.array(rows, np.float64)
    except (TypeError, ValueError) as error:
        raise FitError(f"points: {error}: expected [N,3]: x px, y px, depth in metres") from error
    if found.ndim != 2 or found.shape[1] != len(COLUMNS):
        raise FitError(f"points {found.shape}: expected [N,3]: x px, y px, depth in metres")
    for row in found[~_usable(found)][:1]:
        raise FitError(f"point {row.tolist()}: {_EXPECTED}")
    return PointsReference({"": found}, "the points")


def read_points(path: Path) -> PointsReference:
    """The points of a CSV file. Raises InputError that names the line."""
    return PointsReference(_rows_of(path), printable(path))


def read_points_folder(folder: Path, files: Collection[Path]) -> PointsReference:
    """The points of CSV files in a folder, one for each image: a/b.csv is of a/b.jpg.

    Raises InputError as `read_points`, and for a file with the column `image`.
    """
    found: dict[str, Rows] = {}
    total = 0
    for path in files:
        rows = _rows_of(path)
        if set(rows) != {""}:
            raise InputError(
                f"{printable(path)}: it has the column {IMAGE!r}: give this file alone, not its "
                "folder"
            )
        total += len(rows[""])
        if total > MAX_ROWS:
            raise InputError(f"{printable(folder)}: over {MAX_ROWS} points in its files")
        found[path.relative_to(folder).as_posix()] = rows[""]
    return PointsReference(found, printable(folder))


def _rows_of(path: Path) -> dict[str, Rows]:
    """[N,3] by the name of the image; "" where there is no column `image`."""
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{printable(path)}: not UTF-8: save it as a CSV file") from error
    try:
        return _parsed(text)
    except (InputError, csv.Error) as error:
        raise InputError(f"{printable(path)}: {error}") from error


def _parsed(text: str) -> dict[str, Rows]:
    lines = csv.reader(StringIO(text, newline=""), strict=True)
    places, image_at = _columns(next(lines, []))
    found = _Gathered()
    for row in lines:
        if any(map(str.strip, row)):
            name = "" if image_at is None else _name(lines.line_num, row, image_at)
            found.add(lines.line_num, name, _numbers(lines.line_num, row, places))
    return found.by_image()


class _Gathered:
    """Points as they are read: few bytes for each."""

    def __init__(self) -> None:
        self._numbers, self._lines, self._which = array("d"), array("q"), array("q")
        self._images: dict[str, int] = {}

    def add(self, line: int, image: str, numbers: list[float]) -> None:
        """Raises InputError for too many points."""
        if len(self._lines) >= MAX_ROWS:
            raise InputError(f"line {line}: over {MAX_ROWS} points")
        self._numbers.extend(numbers)
        self._lines.append(line)
        self._which.append(self._images.setdefault(image, len(self._images)))

    def by_image(self) -> dict[str, Rows]:
        """[N,3] by the name of the image. Raises InputError for no points, and bad numbers."""
        found = np.array(self._numbers).reshape(-1, len(COLUMNS))
        if not len(found):
            raise InputError("it has no points below its header")
        usable = _usable(found)
        if not usable.all():
            bad = int(np.argmin(usable))
            raise InputError(f"line {self._lines[bad]}: {found[bad].tolist()}: {_EXPECTED}")
        which = np.array(self._which)
        parts = np.split(
            found[np.argsort(which, kind="stable")], np.cumsum(np.bincount(which))[:-1]
        )
        return dict(zip(self._images, parts))


def _columns(header: list[str]) -> tuple[list[int], Optional[int]]:
    """Where COLUMNS and the column `image` are."""
    names = [name.strip() for name in header]
    if any(names.count(name) != 1 for name in COLUMNS) or names.count(IMAGE) > 1:
        raise InputError(
            f"its first line is {','.join(header)[:80]!r}: expected the header "
            f"{','.join(COLUMNS)}, with commas, and for several images also {IMAGE}"
        )
    return [names.index(name) for name in COLUMNS], names.index(IMAGE) if IMAGE in names else None


_EXPECTED = "expected finite px, and a depth over 0 m"


def _numbers(line: int, row: list[str], places: list[int]) -> list[float]:
    try:
        return [float(row[place]) for place in places]
    except (ValueError, IndexError):
        raise InputError(f"line {line}: {','.join(row)[:80]!r}: {_EXPECTED}") from None


def _usable(rows: Rows) -> npt.NDArray[np.bool_]:
    """[N]: finite, not huge, and with a depth over 0. False for NaN."""
    return (np.abs(rows) <= _LARGEST).all(axis=1) & (rows[:, -1] > 0)


def _name(line: int, row: list[str], place: int) -> str:
    name = row[place].strip().replace("\\", "/") if place < len(row) else ""
    if not PurePosixPath(name).name:
        raise InputError(f"line {line}: {','.join(row)[:80]!r}: expected the name of an image")
    return name
