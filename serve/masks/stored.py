"""Depth of an earlier job: the result that belongs to an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from depth.errors import DepthFileError, InputError
from depth.files import sha256_file
from depth.images.read import ImageFile
from depth.maps.files import SIDECAR_SUFFIX, read_depth, read_sidecar
from depth.maps.result import Result


@dataclass(frozen=True)
class StoredDepth:
    """The output folder of `inference.py` or `serve folder`. Raises InputError for another path."""

    folder: Path

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise InputError(
                f"{self.folder}: no folder of depth files; make some with `python main.py "
                f"inference --input IMAGES --output {self.folder}`"
            )

    def find(self, name: PurePosixPath, file: ImageFile) -> Path:
        """The .json of the result of an image, by its path inside the folder of images.

        Where two images had one name before the dot, a job keeps the whole name. The sha256 in the
        .json decides. Raises InputError if there is no result of these bytes.
        """
        seen = ""
        for stem in (name.with_suffix(""), name):
            path = self.folder / stem.with_name(stem.name + SIDECAR_SUFFIX)
            try:
                found = read_sidecar(path).source.get("sha256")
            except DepthFileError as error:
                seen = seen or (f"{path}: {error}" if path.exists() else "")
                continue
            if found == file.sha256:
                return path
            seen = f"{path} is of another image, or of this one before it was changed"
        raise InputError(
            f"no depth of {name} in {self.folder}{f': {seen}' if seen else ''}; make it with "
            f"`python main.py inference --input IMAGES --output {self.folder}`"
        )

    @staticmethod
    def fingerprint(path: Path) -> str:
        """What changes when the result does: the .json names the sha256 of every file."""
        try:
            return sha256_file(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error

    @staticmethod
    def read(path: Path) -> Result:
        """The result. Raises DepthFileError."""
        return read_depth(path)
