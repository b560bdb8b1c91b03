"""The network's depth of each frame, float32 in raw/: made, or kept if it is whole.

A frame is kept if the bytes of its image, the program and the focal length are those of its .json,
and its files have the sha256 that the .json lists. Nothing that a sequence chooses is in these
files, so every choice can be undone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

from depth.errors import DepthAnythingError, DepthFileError
from depth.family import DEPTH
from depth.images.given import Held
from depth.images.read import ImageFile, Pixels, SourceImage, decode
from depth.maps.files import not_whole, read_depth, read_sidecar, write_result
from depth.maps.meta import Sidecar
from depth.sequences.following import Look
from serve.engine import Engine, Foreseen
from serve.errors import ClosedError, OutOfServiceError, ServeError
from serve.folder.job import limit_bytes
from serve.folder.outputs import full_disk_ends
from serve.jobs.entry import DONE, FAILED, KEPT, TODO
from serve.jobs.memory import Room
from serve.jobs.stage import Asked, ImageResult, Stage
from serve.sequences.frames import Frame
from serve.sequences.request import SequenceJob

logger = logging.getLogger(__name__)

RAW = "raw"
FORMAT = "tiff"  # float32, lossless
_FILES = 3  # of a frame's size, that take memory at a time


@dataclass(frozen=True, eq=False)
class RawFrame:
    """What became of a frame: `status` DONE, KEPT, TODO or FAILED, as in the folder job.

    kind    of its depth; "" without depth
    look    what sequences need to know; None without depth
    reason  why it failed, or has to be done
    sha256  of the image, and of its depth file
    """

    frame: Frame
    status: str
    sha256: str = ""
    kind: str = ""
    look: Optional[Look] = None
    depth_sha256: str = ""
    reason: str = ""


class RawDepth:
    """Looks at the frames of a job. Safe in any thread."""

    def __init__(self, engine: Engine, job: SequenceJob) -> None:
        self._engine = engine
        self._job = job.folder
        self._stage = Stage(
            engine, remark=job.folder.remark, room=Room(_FILES, limit_bytes(job.folder.memory_gb))
        )

    @property
    def at_once(self) -> int:
        """How many frames keep the cores busy."""
        return self._stage.images_at_once()

    def look(self, frame: Frame) -> RawFrame:
        """The depth of a frame, from its file or from the network; a failure says so.

        Raises ClosedError and OutOfServiceError, with which no other frame can be done.
        """
        sha256 = ""
        try:
            opened = frame.held.open()
            sha256 = opened.sha256
            return self._look(frame, opened)
        except (ClosedError, OutOfServiceError):
            raise
        except Exception as error:  # a frame must not stop the others
            if not isinstance(error, (DepthAnythingError, ServeError)):
                logger.error("%s: unexpected error", frame.name, exc_info=error)
            return RawFrame(frame, FAILED, sha256, reason=str(error) or repr(error))

    def _look(self, frame: Frame, opened: Union[ImageFile, SourceImage]) -> RawFrame:
        stem = stem_of(self._job.output, frame.name)
        foreseen = self._engine.foreseen(opened.header)
        sidecar, reason = _kept(beside(stem), opened.sha256, foreseen)
        if sidecar is not None:
            pixels = decode(opened).pixels if isinstance(opened, ImageFile) else opened.pixels
            depth = read_depth(beside(stem)).depth
            look = Look.of(pixels, depth.values)
            return RawFrame(frame, KEPT, opened.sha256, depth.kind, look, sha256_of(sidecar))
        if self._job.dry_run:
            return RawFrame(frame, TODO, opened.sha256, reason=reason)

        def use(result: ImageResult, pixels: Pixels) -> RawFrame:
            facts = _source(frame, opened.sha256, result.source)
            with full_disk_ends():
                write_result(result, stem, [FORMAT], facts)
            look = Look.of(pixels, result.depth.values)
            made = sha256_of(read_sidecar(beside(stem)))
            return RawFrame(frame, DONE, opened.sha256, result.depth.kind, look, made)

        return self._stage.through(Held(frame.held.path, lambda: opened), Asked(), use)


def stem_of(output: Path, name: str, folder: str = RAW) -> Path:
    """Where the files of a frame lie, less their suffixes."""
    return output / folder / name


def beside(stem: Path) -> Path:
    """The .json of a frame's files."""
    return stem.with_name(f"{stem.name}.json")


def sha256_of(sidecar: Sidecar) -> str:
    """Of the depth file that a .json in raw/ lists."""
    return sidecar.maps[DEPTH].files[FORMAT].sha256


def _source(frame: Frame, sha256: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """What the .json says of a frame."""
    place = {"frame": frame.number, "seconds": float(frame.seconds)}
    return {**found, "sha256": sha256, **place}


def _kept(path: Path, sha256: str, foreseen: Foreseen) -> tuple[Optional[Sidecar], str]:
    """The .json of a result that can stay, or why there is none."""
    try:
        found = read_sidecar(path)
    except DepthFileError as error:
        return None, str(error) if path.exists() else "no result yet"
    if foreseen.provenance is None:
        return None, "its program is not made yet"
    if (found.provenance, found.focal) != (foreseen.provenance, foreseen.focal):
        return None, "made with another program or focal length"
    if found.source.get("sha256") != sha256:
        return None, "the frame changed"
    if DEPTH not in found.maps or FORMAT not in found.maps[DEPTH].files:
        return None, "made in another format"
    damaged = not_whole(found, path.parent, ())
    return (None, f"{damaged} is missing or not whole") if damaged else (found, "")
