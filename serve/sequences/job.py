"""The sequence job: depth of every frame, one range and one scale for all, videos, flicker.

Depth of the network is made first, or kept, and lies in raw/. Everything else follows from it, in
the order of the frames: the same raw depth gives the same files, so nothing else is kept of a run
that was killed. With the range of the whole sequence, pictures are written in a second pass.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Optional

from depth.errors import DepthAnythingError
from depth.files import has_bytes, remove_left_over, sha256_file
from depth.maps.files import read_sidecar
from depth.sequences.following import Following
from depth.sequences.ranges import SEQUENCE
from serve.engine import Engine
from serve.errors import OutOfServiceError, RestartError, ServeError
from serve.folder.earlier import remember
from serve.folder.manifest import JobManifest, manifest_in
from serve.folder.preset import write_summary_of
from serve.jobs.entry import DONE, FAILED, KEPT, Entry, Report
from serve.jobs.preset import check_preset
from serve.jobs.stop import Stop
from serve.jobs.threads import in_order
from serve.sequences import record as records_file
from serve.sequences.frames import VIDEO, Frames, opened
from serve.sequences.outputs import FRAMES, SequenceOutputs, Videos, video_codings
from serve.sequences.presets import FramePresets
from serve.sequences.raw import RAW, RawDepth, RawFrame, beside, stem_of
from serve.sequences.record import Record, Records, record_of
from serve.sequences.request import SequenceJob

_NO_AUDIO = "audio is not carried over"
_DEPTH, _PICTURES = "depth", "pictures"

OnFrame = Callable[[str, Record, Optional[int]], None]  # what was done of it; how many there are


@dataclass
class SequenceReport(Report):
    """Counts of frames by status, and what was made.

    flicker   before, after and own_range; None without two frames of a shot
    files     videos and sequence.json
    """

    flicker: dict[str, Optional[float]] = field(default_factory=dict)
    shots: int = 0
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def run_sequence(
    engine: Engine,
    job: SequenceJob,
    on_frame: OnFrame = lambda *_: None,
    stop: Optional[Stop] = None,
) -> SequenceReport:
    """Run the job; `on_frame` gets each frame in order, once per pass.

    A failure of a frame is counted, and the others go on. Raises NoImagesError or InputError for an
    input that is no sequence, ImageError for a file that is no video, ManifestError if another job
    writes into the folder, DiskFullError, and the library's errors if it has no programs.
    """
    folder, writable = job.folder, not job.folder.dry_run
    check_preset(folder.preset, engine.library, kind=folder.kind)
    with ExitStack() as stack:
        frames = stack.enter_context(opened(folder.input, folder.output, job.fps))
        manifest = stack.enter_context(manifest_in(folder.output, writable))
        records = stack.enter_context(Records())
        if writable:
            remove_left_over(_folders_in(folder.output))
        presets = stack.enter_context(FramePresets(job, frames, engine.focal))
        run = _Run(engine, job, frames, presets, manifest, records, on_frame, stop or Stop())
        run.work()
        return run.report


def _folders_in(output: Path) -> list[Path]:
    """The folders that the job writes into, as far as they are there."""
    inner = [Path(place) for name in (RAW, FRAMES) for place, *_ in os.walk(output / name)]
    return [output, *inner]


class _Run:
    def __init__(
        self,
        engine: Engine,
        job: SequenceJob,
        frames: Frames,
        presets: FramePresets,
        manifest: JobManifest,
        records: Records,
        on_frame: OnFrame,
        stop: Stop,
    ) -> None:
        self.report = SequenceReport(0)
        self._job, self._frames, self._manifest = job, frames, manifest
        self._raw = RawDepth(engine, job)
        self._presets = presets
        self._outputs = SequenceOutputs(job.folder, presets, manifest)
        self._following: Optional[Following] = None
        self._records, self._on_frame, self._stop = records, on_frame, stop

    def work(self) -> None:
        placed = self._placed()
        with closing(placed):
            if self._job.folder.dry_run:
                for record in placed:
                    self._count(record)
            elif self._job.ranges == SEQUENCE:
                self._two_passes(placed)
            else:
                self._write(placed, "")
        self._end()

    def _placed(self) -> Generator[Record, None, None]:
        """The frames in their order, each at its place in the sequence."""
        stop = self._stop
        looked = in_order(self._frames.each, self._raw.look, self._raw.at_once, stop.requested)
        with closing(looked):
            try:
                for found in looked:
                    record = self._place(found)
                    self._on_frame(_DEPTH, record, self._frames.total)
                    if record.status == FAILED and self._job.folder.fail_fast:
                        stop.request("a failure")
                    yield record
            except OutOfServiceError as error:
                self.report.restart = isinstance(error, RestartError)
                stop.request(str(error))

    def _place(self, found: RawFrame) -> Record:
        pts = round(found.frame.seconds / self._frames.tick)
        if found.look is None:
            return record_of(found, pts, None)
        if self._following is None:
            self._following = Following(found.kind, self._job.align, self._job.ranges)
        placed = self._following.place(found.look)
        self.report.shots += placed.begins
        return record_of(found, pts, placed)

    def _two_passes(self, placed: Iterable[Record]) -> None:
        with Records() as first:
            for record in placed:
                first.add(record)
                self._log(_raw_entry(record, self._job.folder.output))
            if self._stop.reason or self._following is None:
                for record in first:
                    self._count(record)
                return
            low, high = self._following.span or (0.0, 1.0)
            made_of = f"{first.digest()} {low} {high} {self._job.folder.preview}"
            self._write((replace(record, low=low, high=high) for record in first), made_of)

    def _write(self, placed: Iterable[Record], made_of: str) -> None:
        """Pictures, videos and sequence.json. `made_of`: videos of the same stay; "" for none."""
        job, frames = self._job.folder, self._frames
        last = records_file.read(job.output)
        there = (
            _videos_there(job.output, last) if made_of and last.get("videos_of") == made_of else {}
        )
        videos = None
        with ExitStack() as stack:
            if set(there) != set(video_codings(job)) or not there:
                videos = stack.enter_context(Videos(job, frames.tick, frames.rate))
            for record in placed:
                self._records.add(self._written(record, videos))
            if self._stop.reason and videos is not None:
                videos.drop("")
        if self._stop.reason:
            return
        names = list(there) if videos is None else videos.names
        self._describe(names, made_of, videos.problem if videos else "")
        summary = write_summary_of(self._presets.done(self._records, FRAMES), self._manifest, job)
        self.report.files += [summary] if summary else []

    def _written(self, record: Record, videos: Optional[Videos]) -> Record:
        if record.status != FAILED and record.kind:
            try:
                record, depth, entry = self._outputs.write(record)
                if videos is not None:
                    videos.add(depth, record.pts * self._frames.tick)
                self._log(entry)
            except OutOfServiceError:
                raise
            except (DepthAnythingError, ServeError) as error:
                record = replace(record, status=FAILED, reason=str(error))
        if record.status == FAILED:
            self._log(Entry(record.name, FAILED, record.sha256, reason=record.reason))
        self._count(record)
        self._on_frame(_PICTURES, record, self._frames.total)
        return record

    def _count(self, record: Record) -> None:
        self.report.counts[record.status] += 1

    def _log(self, entry: Optional[Entry]) -> None:
        if entry is not None:
            remember(self._manifest, entry.image, entry.outputs)
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            status = DONE if entry.status == KEPT else entry.status
            self._manifest.append(replace(entry, status=status, finished=now))

    def _describe(self, names: list[str], made_of: str, problem: str) -> None:
        """sequence.json, which lists the videos."""
        job, output = self._job, self._job.folder.output
        following, report = self._following, self.report
        if following:
            figures = {"before": following.before, "after": following.after}
            figures["own_range"] = following.own_range
            report.flicker = {name: each.figure for name, each in figures.items()}
        is_video = self._frames.kind == VIDEO
        report.notes += [problem] * bool(problem) + [_NO_AUDIO] * is_video
        files = {name: _listed(output / name) for name in names}
        about = {
            "source": {"kind": self._frames.kind, "path": self._frames.path},
            "range": job.ranges,
            "align": job.align,
            "tick_s": [self._frames.tick.numerator, self._frames.tick.denominator],
            "flicker": report.flicker,
            "shots": report.shots,
            "files": files,
            "videos_of": made_of,
            "notes": report.notes,
        }
        remember(self._manifest, records_file.NAME, [*names, records_file.NAME])
        path = records_file.write(output, about, self._records)
        report.files = [output / name for name in names] + [path]
        sizes = {file.name: file.stat().st_size for file in report.files}
        self._log(Entry(records_file.NAME, DONE, sha256_file(path), outputs=sizes))

    def _end(self) -> None:
        report = self.report
        seen = sum(report.counts.values())
        report.stopped = self._stop.reason
        report.total = max(seen + 1, self._frames.total or 0) if report.stopped else seen


def _raw_entry(record: Record, output: Path) -> Optional[Entry]:
    """The line of a frame whose picture is not written yet; none if nothing is new."""
    if record.status != DONE:
        return None
    path = beside(stem_of(output, record.name))
    files = [*(path.with_name(name) for name in read_sidecar(path).files), path]
    sizes = {file.relative_to(output).as_posix(): file.stat().st_size for file in files}
    return Entry(record.name, DONE, record.sha256, outputs=sizes)


def _videos_there(output: Path, last: dict[str, Any]) -> dict[str, Any]:
    """The videos that sequence.json lists and that are whole."""
    files = last.get("files")
    found = files if isinstance(files, dict) else {}
    return {
        name: each
        for name, each in found.items()
        if "/" not in name and has_bytes(output / name, each["size_bytes"], each["sha256"])
    }


def _listed(path: Path) -> dict[str, Any]:
    return {"size_bytes": path.stat().st_size, "sha256": sha256_file(path)}
