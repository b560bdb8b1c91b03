"""The files of a sequence: frames/ with one range, and the videos.

depth.mkv    lossless 16-bit gray (FFV1), with the codes of the 16-bit pictures
preview.mp4  8-bit colours (H.264, or MPEG-4 without an encoder for it)

Both have the times of the source's frames. Audio is not carried over.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

import numpy as np

from depth.errors import DepthFileError, InputError, how_to_install
from depth.family import DEPTH, METRES
from depth.files import replacing
from depth.images import film
from depth.images.video import has_video
from depth.maps.files import not_whole, read_depth, read_sidecar
from depth.maps.meta import Sidecar
from depth.maps.png import coding_for, to_codes
from depth.maps.preview import colour_preview
from depth.maps.result import Map, Result
from depth.presets.files import result_names, save_result
from depth.sequences.following import moved
from serve.folder.earlier import remember
from serve.folder.manifest import JobManifest
from serve.folder.outputs import full_disk_ends
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, Entry, Settings
from serve.sequences.presets import FramePresets
from serve.sequences.raw import beside, stem_of
from serve.sequences.record import Record

FRAMES = "frames"
DEPTH_VIDEO = "depth.mkv"
PREVIEW_VIDEO = "preview.mp4"


class Videos(AbstractContextManager["Videos"]):
    """The videos that grow frame by frame, each written whole or not at all.

    There are none without PyAV, and none of frames that differ in size; `problem` says so.
    """

    def __init__(self, job: FolderJob, tick: Fraction, rate: Fraction) -> None:
        self._open = ExitStack()
        self._films: dict[str, film.Film] = {}
        self._size: Optional[tuple[int, ...]] = None
        self.problem = "" if has_video() else f"no videos: they need {how_to_install('av')}"
        for name, coding in video_codings(job).items():
            file = self._open.enter_context(replacing(job.output / name))
            self._films[name] = self._open.enter_context(film.Film(file, coding, tick, rate))

    @property
    def names(self) -> list[str]:
        return list(self._films)

    def add(self, depth: Map, seconds: Fraction) -> None:
        """One more frame."""
        size = self._size = self._size or depth.values.shape
        if depth.values.shape != size and self._films:
            self.drop("no videos: the frames differ in size")
        try:
            self._add(depth, seconds)
        except DepthFileError as error:  # the pictures are there without it
            self.drop(f"no videos: {error}")

    def _add(self, depth: Map, seconds: Fraction) -> None:
        if DEPTH_VIDEO in self._films:
            shown = depth.values if depth.kind == METRES else np.clip(depth.values, *depth.ends)
            self._films[DEPTH_VIDEO].add(to_codes(shown, coding_for(depth)), seconds)
        if PREVIEW_VIDEO in self._films:
            self._films[PREVIEW_VIDEO].add(colour_preview(depth)[:, :, ::-1], seconds)

    def drop(self, problem: str) -> None:
        """Give the videos up; what is there under their names stays."""
        self.problem = self.problem or problem
        self._films.clear()
        error = InputError(problem)
        self._open.__exit__(InputError, error, None)

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if kind is None and self._size is None and self._films:
            self.drop("no videos: no frame has depth")
        self._open.__exit__(kind, error, trace)


def video_codings(job: FolderJob) -> dict[str, film.FilmCoding]:
    """The videos that a job makes, by name; none without PyAV."""
    if not has_video():
        return {}
    found = {DEPTH_VIDEO: film.DEPTH}
    return {**found, PREVIEW_VIDEO: film.preview_coding()} if job.preview else found


class SequenceOutputs:
    """The pictures of the frames, in frames/: in formats, or the files of a preset."""

    def __init__(self, job: FolderJob, presets: FramePresets, manifest: JobManifest) -> None:
        self._job = job
        self._presets = presets
        self._manifest = manifest

    def write(self, record: Record) -> tuple[Record, Map, Entry]:
        """Write the files of a frame, unless they are there; returns its depth as written.

        Raises DepthFileError, and DiskFullError, which ends the job.
        """
        output = self._job.output
        path = beside(stem_of(output, record.name))
        raw, sidecar = read_depth(path), read_sidecar(path)
        low, high = record.low, record.high
        span = None if low is None or high is None else (low, high)
        depth = replace(raw.depth, values=moved(raw.depth.values, record.move), span=span)
        coding = coding_for(depth)
        record = replace(record, code_scale=coding.scale, code_offset=coding.offset)
        result = replace(raw, maps={**raw.maps, DEPTH: depth})
        source = {**sidecar.source, "sequence": _choices(record)}
        stem = stem_of(output, self._presets.name(record), FRAMES)
        if not self._is_there(stem, source, result):
            self._write(record, stem, result, source, sidecar)
            record = replace(record, status=DONE)
        return record, depth, self._entry(record, stem, result, path)

    def _write(
        self,
        record: Record,
        stem: Path,
        result: Result,
        source: Mapping[str, Any],
        raw: Sidecar,
    ) -> None:
        job, shot = self._job, self._presets.shot(record, raw)
        stay = [stem.parent / name for name in self._names(stem, result)]
        stay += _files(beside(stem_of(job.output, record.name)))
        remember(self._manifest, record.name, list(map(self._inside, stay)))
        with full_disk_ends():
            save_result(result, stem, job.formats, source, job.preview, job.preset, shot)

    def _names(self, stem: Path, result: Result) -> list[str]:
        job = self._job
        return result_names(stem.name, job.formats, job.preview, list(result.maps), job.preset)

    def _inside(self, path: Path) -> str:
        return path.relative_to(self._job.output).as_posix()

    def _is_there(self, stem: Path, source: Mapping[str, Any], result: Result) -> bool:
        """Whether the files say the same of the same frame, and are whole."""
        try:
            found = read_sidecar(beside(stem))
        except DepthFileError:
            return False
        setting = found.preset.setting if found.preset else ""
        same = (found.source, found.provenance) == (source, result.provenance)
        same = same and setting == self._presets.setting
        *names, _ = self._names(stem, result)
        return same and not not_whole(found, stem.parent, names)

    def _entry(self, record: Record, stem: Path, result: Result, path: Path) -> Entry:
        """The line of the log; the pictures come first, then what they were made from.

        path  the .json in raw/
        """
        job, notes = self._job, read_sidecar(path).source.get("notes")
        files = [*_files(beside(stem)), *_files(path)]
        sizes = {self._inside(file): file.stat().st_size for file in files}
        settings = Settings(
            tuple(sorted(job.formats)),
            job.preview,
            job.remark,
            result.provenance,
            result.focal,
            preset=self._presets.setting,
        )
        return Entry(
            record.name,
            record.status,
            record.sha256,
            settings,
            sizes,
            notes=tuple(map(str, notes)) if isinstance(notes, list) else (),
        )


def _files(path: Path) -> list[Path]:
    """The files that a .json lists, and the .json."""
    return [*(path.parent / name for name in read_sidecar(path).files), path]


def _choices(record: Record) -> dict[str, Any]:
    """What the sequence chose for a frame, in its .json."""
    return {
        "begins_shot": record.begins_shot,
        "scale": record.scale,
        "shift": record.shift,
        "low": record.low,
        "high": record.high,
        "raw_sha256": record.raw_sha256,
    }
