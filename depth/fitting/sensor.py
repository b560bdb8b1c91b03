"""Depth that a sensor measured: 16-bit PNG files, one for each image."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from depth.errors import DepthFileError, FitError, InputError
from depth.files import read_regular, sha256_bytes
from depth.fitting.names import Names
from depth.fitting.samples import Samples, digest_of, onto_image
from depth.images.header import ImageHeader
from depth.images.read import printable
from depth.maps.fit import SENSOR
from depth.maps.png import MILLIMETRE, Codes, decode_png

MAX_BYTES = 500_000_000

_MOST = 100_000  # points of an image; of more, every n-th row and column counts


@dataclass(frozen=True)
class SensorReference:
    """Files by the name of their image; that of "" belongs to the only image there is.

    step_m  metres of a code; code 0 means that nothing was measured
    """

    files: Mapping[str, Path]
    place: str  # for people
    step_m: float = MILLIMETRE
    source: str = SENSOR
    metric: bool = True

    @property
    def of_one_image(self) -> bool:
        return "" in self.files

    def digest(self) -> str:
        return digest_of(self.files, lambda name: self._sha256(self.files[name]))

    def check(self, images: Collection[str]) -> None:
        if not self.of_one_image:
            self._names.check(images)
        elif len(images) != 1:
            raise InputError(
                f"{self.place}: one file, and there are {len(images)} images: give a folder with a "
                "PNG for each, of the same path"
            )

    def sha256(self, image: str) -> str:
        return self._sha256(self._file(image))

    def samples(self, image: str, header: ImageHeader) -> Samples:
        path = self._file(image)
        codes = _codes(path, self._bytes(path))
        rows, columns = np.nonzero(codes[_thin(codes)])
        if not len(rows):
            raise FitError(f"{printable(path)}: every code is 0: nothing was measured")
        step = _thin(codes)[0].step
        depth = codes[_thin(codes)][rows, columns] * self.step_m
        x, y = (places.astype(np.float64) * step for places in (columns, rows))
        size = codes.shape[0], codes.shape[1]
        return Samples(*onto_image(x, y, size, header, stored_first=False), depth)

    def _sha256(self, path: Path) -> str:
        return sha256_bytes(repr(self.step_m).encode() + b" " + self._bytes(path))

    def _file(self, image: str) -> Path:
        return self.files[""] if self.of_one_image else self.files[self._names.of(image)]

    @cached_property
    def _names(self) -> Names:
        return Names(self.files)

    @staticmethod
    def _bytes(path: Path) -> bytes:
        try:
            return read_regular(path, MAX_BYTES)
        except OSError as error:
            raise FitError(f"{printable(path)}: cannot be read: {error.strerror}") from error


def _thin(codes: Codes) -> tuple[slice, slice]:
    step = max(1, int(np.ceil(np.sqrt(codes.size / _MOST))))
    return slice(None, None, step), slice(None, None, step)


def _codes(path: Path, data: bytes) -> Codes:
    """The codes of a file. Raises FitError, also for a depth file of this program."""
    try:
        codes, text = decode_png(data)
    except DepthFileError as error:
        raise FitError(f"{printable(path)}: {error}") from error
    if text is not None:
        raise FitError(
            f"{printable(path)}: a depth file of a network, whose codes its text explains; "
            "expected what a sensor measured, in steps of one length"
        )
    return codes
