"""Depth of images: stored by an earlier job, or made by an artifact while masks are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from depth.artifact.manifest import read_artifact
from depth.errors import DepthFileError, InputError
from depth.files import sha256_file
from depth.images.read import ImageFile, decode
from depth.maps.files import SIDECAR_SUFFIX, read_depth, read_sidecar
from depth.maps.result import Result
from serve.engine import Engine
from serve.library import Library
from serve.shapes import BUCKETS


class DepthSource(Protocol):
    """Where the depth of an image comes from. Safe in any thread.

    `name` is the image's path inside the folder of images. Methods raise InputError if there is no
    depth of the image.
    """

    def key(self, name: PurePosixPath, file: ImageFile) -> str:
        """What changes when the result would; no pixel is decoded."""

    def result(self, name: PurePosixPath, file: ImageFile) -> Result:
        """The result of an image."""

    def close(self) -> None:
        """Give back what was opened."""


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

    def key(self, name: PurePosixPath, file: ImageFile) -> str:
        """What changes when the result does: the .json names the sha256 of every file."""
        path = self._find(name, file)
        try:
            return sha256_file(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error

    def result(self, name: PurePosixPath, file: ImageFile) -> Result:
        """The result of an image. Raises DepthFileError too."""
        return read_depth(self._find(name, file))

    def close(self) -> None:
        """Nothing is open."""

    def _find(self, name: PurePosixPath, file: ImageFile) -> Path:
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


@dataclass(frozen=True)
class MadeDepth:
    """An engine over an artifact of depth: each result is made, used and not kept."""

    engine: Engine

    @staticmethod
    def of(folder: Path, allow_failed_parity: bool = False) -> MadeDepth:
        """By the artifact in a folder, each image in its nearest shape. Raises as `Library`."""
        library = Library([read_artifact(folder)], allow_failed_parity=allow_failed_parity)
        return MadeDepth(Engine(library, BUCKETS))

    def key(self, _name: PurePosixPath, file: ImageFile) -> str:
        """By what the engine says a result would be made with."""
        foreseen = self.engine.foreseen(file.header)
        return repr((foreseen.provenance, foreseen.focal))

    def result(self, _name: PurePosixPath, file: ImageFile) -> Result:
        """Raises as `Engine.result`."""
        return self.engine.result(decode(file, self.engine.needed))

    def close(self) -> None:
        self.engine.close()
