"""`cameras.bin`, `images.bin` and `points3D.bin` of COLMAP, record by record."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from depth.errors import InputError
from depth.files import reading
from depth.scenes.colmap.lenses import Lens, kind_numbered
from depth.scenes.colmap.posed import MAX_IMAGES, Posed, lens_of, posed
from depth.scenes.colmap.tracks import MAX_POINTS, MAX_SIGHTINGS, Gathered, Tracks

_CAMERA = struct.Struct("<IiQQ")
_IMAGE = struct.Struct("<I7dI")
_COUNT = struct.Struct("<Q")
_POINT = struct.Struct("<Q3d3Bd")  # number, place, colour, error
_SIGHTING_BYTES = 8  # the numbers of an image and of its observation
_POINT_BYTES = 24  # of an observation: x, y and the number of its point
_MAX_NAME_BYTES = 4096


class _Reader:
    """Records of an open file. Raises InputError where the file ends too early."""

    def __init__(self, file: BufferedReader) -> None:
        self.file = file
        self.size_bytes = os.fstat(file.fileno()).st_size

    def take(self, form: struct.Struct) -> tuple[Any, ...]:
        data = self.file.read(form.size)
        if len(data) < form.size:
            raise InputError("the file ends in the middle of a record: copy it again")
        return form.unpack(data)

    def count(self, of: str, record_bytes: int, most: int) -> int:
        """A number of records that the rest of the file can hold."""
        (number,) = self.take(_COUNT)
        rest = self.size_bytes - self.file.tell()
        if number > min(rest // record_bytes, most):
            raise InputError(
                f"{number} {of}, and the {rest} bytes that follow cannot hold them; "
                f"expected at most {most}"
            )
        return int(number)

    def text(self) -> str:
        """Up to a zero byte."""
        found = bytearray()
        while (byte := self.file.read(1)) != b"\0":
            if not byte or len(found) >= _MAX_NAME_BYTES:
                raise InputError("the name of an image has no end: copy the file again")
            found += byte
        return os.fsdecode(bytes(found))

    def skip(self, size_bytes: int) -> None:
        self.file.seek(size_bytes, os.SEEK_CUR)


def read_cameras(path: Path) -> dict[int, Lens]:
    """The cameras by their numbers. Raises InputError, and OSError for no file."""
    with reading(path) as file:
        reader = _Reader(file)
        found = {}
        for _ in range(reader.count("cameras", _CAMERA.size, MAX_IMAGES)):
            number, model, width, height = reader.take(_CAMERA)
            kind = kind_numbered(model)
            numbers = reader.take(struct.Struct(f"<{kind.parameters}d"))
            found[number] = lens_of(kind, width, height, numbers)
    return found


def read_images(path: Path, lenses: dict[int, Lens]) -> Iterator[Posed]:
    """The images in the file's order. Raises as `read_cameras`."""
    with reading(path) as file:
        reader, names = _Reader(file), set[str]()
        for _ in range(reader.count("images", _IMAGE.size, MAX_IMAGES)):
            number, *pose, camera = reader.take(_IMAGE)
            name = reader.text()
            reader.skip(_POINT_BYTES * reader.count("points", _POINT_BYTES, reader.size_bytes))
            yield posed((number, name), pose, camera, lenses, names)


def read_points(path: Path) -> Tracks:
    """The points. Raises as `read_cameras`."""
    with reading(path) as file:
        reader, found = _Reader(file), Gathered()
        for _ in range(reader.count("points", _POINT.size + _COUNT.size, MAX_POINTS)):
            _, x, y, z, *_ = reader.take(_POINT)
            length = reader.count("images of a point", _SIGHTING_BYTES, MAX_SIGHTINGS)
            found.add((x, y, z), list(reader.take(struct.Struct(f"<{2 * length}I"))[::2]))
        return found.tracks()
