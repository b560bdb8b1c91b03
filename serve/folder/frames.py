"""The frames of a video as images of a folder job: one at a time, in order, kept if whole."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Callable, Optional, Union

from depth.errors import DepthAnythingError
from depth.files import remove_left_over
from depth.images.read import ImageFile, SourceImage, decode
from depth.images.video import EXTENSIONS, Frame, Video
from depth.maps.files import SIDECAR_SUFFIX, read_depth
from depth.maps.result import Result
from depth.presets.files import result_names
from serve.engine import Engine
from serve.errors import OutOfServiceError, RestartError, ServeError
from serve.folder.job import record
from serve.folder.manifest import manifest_in
from serve.folder.outputs import FolderOutputs
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT, TODO, Entry, OnEntry, Report, Task
from serve.jobs.stop import Stop

Follow = Callable[
    [Result, Optional[Result]], Result
]  # a frame's result, and that of the one before


def is_video(path: Path) -> bool:
    """Whether a file is a video by its name."""
    return path.is_file() and path.suffix.lower() in EXTENSIONS


def run_frames(
    engine: Engine,
    job: FolderJob,
    fps: float,
    follow: Follow,
    on_entry: OnEntry = lambda *_: None,
    stop: Optional[Stop] = None,
) -> Report:
    """Run the job over the frames of the video `job.input`, below a folder of the video's name.

    fps     frames per second to take, as of `Video`
    follow  moves the result of a frame onto that of the frame before, which is None at first

    Memory does not grow with the video. A rerun keeps frames that are whole, and made from the same
    pixels with the same settings. Raises ImageError for what is no video, ManifestError as
    `run_folder`, and the library's errors.
    """
    stop = stop or Stop()
    names_for = partial(
        result_names,
        formats=job.formats,
        preview=job.preview,
        maps=job.maps,
        preset=job.preset,
    )
    with Video(job.input, fps) as video, manifest_in(job.output, not job.dry_run) as manifest:
        frames = _Frames(engine, job, FolderOutputs(job, names_for, manifest), follow)
        report = Report(-(-(video.total or 1) // video.step))
        if not job.dry_run:
            remove_left_over([frames.folder])
        try:
            for frame in video.frames():
                if stop.reason:
                    break
                entry = frames.entry(frame)
                report.counts[entry.status] += 1
                report.total = max(report.total, sum(report.counts.values()))
                if not job.dry_run:
                    record(manifest, entry)
                on_entry(entry, report.total)
                if entry.status == FAILED and job.fail_fast:
                    stop.request("a failure")
            else:  # a header may promise more frames than there are
                report.total = sum(report.counts.values())
        except OutOfServiceError as error:
            report.restart = isinstance(error, RestartError)
            stop.request(str(error))
        report.stopped = stop.reason
    return report


class _Frames:
    """The frames of a video through an engine, in order.

    folder  where their files go
    """

    def __init__(
        self, engine: Engine, job: FolderJob, outputs: FolderOutputs, follow: Follow
    ) -> None:
        self.folder = job.output / job.input.stem
        self._engine = engine
        self._job = job
        self._outputs = outputs
        self._follow = follow
        self._before: Union[Result, Path, None] = None  # in a file, if that frame was kept

    def entry(self, frame: Frame) -> Entry:
        """What becomes of a frame. Raises OutOfServiceError; other failures are entries."""
        name = f"{frame.number:06d}"
        file = _file_of(frame, f"frame {frame.number} of {self._job.input.name}")
        task = Task(self._job.input, f"{self._job.input.name}/{name}", self.folder / name)
        try:
            return self._entry(task, file)
        except OutOfServiceError:
            raise
        except (DepthAnythingError, ServeError) as error:
            return Entry(task.name, FAILED, file.sha256, reason=str(error))

    def _entry(self, task: Task, file: ImageFile) -> Entry:
        engine, header = self._engine, file.header
        if not self._job.dry_run:
            engine.make_ready([engine.size_for(header.height_px, header.width_px)])
        found = self._outputs.look(task, file, engine.foreseen(header))
        if isinstance(found, Entry):
            if found.status == KEPT:
                self._before = task.stem.with_name(task.stem.name + SIDECAR_SUFFIX)
            return found
        if self._job.dry_run:
            return Entry(task.name, TODO, file.sha256, reason=found)
        return self._made(task, decode(file))

    def _made(self, task: Task, source: SourceImage) -> Entry:
        begun = time.perf_counter()
        prepared = self._engine.prepare(source)
        read_s = time.perf_counter() - begun
        raw = self._engine.run(prepared)
        begun = time.perf_counter()
        before = read_depth(self._before) if isinstance(self._before, Path) else self._before
        result = self._follow(self._engine.finish(raw), before)
        written = self._outputs.write(task, source, result)
        timing_ms = {
            "read": round(read_s * 1e3, 1),
            "wait": round(raw.wait_ms, 1),
            "network": round(raw.network_ms, 1),
            "write": round((time.perf_counter() - begun) * 1e3, 1),
        }
        self._before = result
        return Entry(
            task.name, DONE, source.sha256, written.settings, written.outputs, timing_ms=timing_ms
        )


def _file_of(frame: Frame, name: str) -> ImageFile:
    """The frame as a binary PPM, whose sha256 is that of its pixels."""
    height, width = frame.pixels.shape[:2]
    return ImageFile(b"P6\n%d %d\n255\n" % (width, height) + frame.pixels.tobytes(), name)
