"""An image file: its bytes, read once, and what they say before a pixel is decoded."""

from __future__ import annotations

import stat
from functools import cached_property
from pathlib import Path

from depth.errors import ImageError
from depth.files import sha256_bytes
from depth.images.containers import parse_header
from depth.images.header import ImageHeader

MAX_FILE_BYTES = 200_000_000
_TOO_LARGE = f"over the limit of {MAX_FILE_BYTES // 1_000_000} MB; reduce it first"


class ImageFile:
    """The bytes of an image file, and their hex SHA-256. `name` is what error messages call it.

    Safe in any thread.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.sha256 = sha256_bytes(data)

    @staticmethod
    def read(path: Path) -> ImageFile:
        """Read a file; links to files are followed.

        Raises ImageError, with name and reason, instead of waiting on a pipe or a device.
        """
        name = printable(path)
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise refusal(name, "a folder" if path.is_dir() else "not a regular file")
            if found.st_size > MAX_FILE_BYTES:
                raise refusal(name, _TOO_LARGE)
            with path.open("rb") as file:
                return ImageFile(file.read(MAX_FILE_BYTES + 1), name)
        except OSError as error:
            raise refusal(name, f"cannot be read ({error.strerror})") from error

    @cached_property
    def header(self) -> ImageHeader:
        """Size, format and orientation, parsed once.

        Raises ImageError, with name and reason, for whatever decoding would refuse, except damage
        that only decoding can show.
        """
        if not self.data:
            raise refusal(self.name, "empty (0 bytes)")
        if len(self.data) > MAX_FILE_BYTES:
            raise refusal(self.name, _TOO_LARGE)
        try:
            return parse_header(self.data)
        except ImageError as error:
            raise refusal(self.name, str(error)) from error


def refusal(name: str, reason: str) -> ImageError:
    """Why an image called `name` is not processed."""
    return ImageError(f"{name}: {reason}. Expected a complete JPEG, PNG, WebP, BMP or TIFF image")


def printable(path: Path) -> str:
    """The path as text that can be written anywhere, whatever bytes its name has."""
    return str(path).encode("utf-8", "backslashreplace").decode()
