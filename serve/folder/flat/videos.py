"""Upstream's videos: what its run_video.py writes, frame by frame, each at its own time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Callable

from depth.errors import DepthFileError, InputError
from depth.files import make_folders, replacing
from depth.images.film import Film, preview_coding
from depth.images.read import Pixels
from depth.images.video import EXTENSIONS, Video
from depth.maps.result import Result
from serve.folder.flat.job import flat_stems, listed, with_suffix
from serve.folder.flat.pictures import drawn

_EVERY = 1000.0  # frames/s: every frame
_SUFFIX = ".mp4"
_FINEST_RATE = 90_000

Progress = Callable[[int], None]
# Results of images [H,W,3] RGB in their order, as the pipeline's `stream`.
Streamed = Callable[[Iterator[Pixels]], Generator[Result, None, None]]


@dataclass(frozen=True)
class VideoJob:
    """The options of upstream's run_video.py. Every video is made, also if there is one already."""

    video_path: Path  # a video, a text file with one path per line, or a folder
    outdir: Path
    pred_only: bool  # without the video at the left
    grayscale: bool


def videos_of(job: VideoJob) -> list[tuple[Path, Path]]:
    """Each video, and the file that is made of it.

    Raises InputError if there is no video, or a file would replace one.
    """
    found = listed(job.video_path, job.outdir)
    videos = list(dict.fromkeys(found.images))
    if job.video_path.is_dir():
        videos = [path for path in found.others if path.suffix.lower() in EXTENSIONS]
    if not videos:
        raise InputError(
            f"{job.video_path}: no videos in it ({' '.join(EXTENSIONS)}); name another --video-path"
        )
    stems = flat_stems(videos, job.video_path, job.outdir, _SUFFIX)
    return [(video, with_suffix(stem, _SUFFIX)) for video, stem in zip(videos, stems)]


def draw_video(
    results_of: Streamed,
    video: Video,
    target: Path,
    job: VideoJob,
    progress: Progress = lambda _: None,
) -> int:
    """Write the video of the depth of an open video; returns the number of frames.

    progress  takes the number of frames done

    Each frame is stretched over its own range of depth, as upstream does it. The file appears
    whole. Raises ImageError for a damaged video, DepthFileError if it cannot be written, and what
    the stream raises.
    """
    waiting: deque[tuple[Pixels, Fraction]] = deque()

    def taken() -> Iterator[Pixels]:
        for frame in video.frames():
            waiting.append((frame.pixels, frame.seconds))
            yield frame.pixels

    done = 0
    rate = Fraction(video.rate).limit_denominator(_FINEST_RATE)
    try:
        make_folders(target.parent)
        results = results_of(taken())
        film = partial(Film, coding=preview_coding(), tick=video.tick, rate=rate)
        with closing(results), replacing(target) as file, film(file) as made:
            for done, result in enumerate(results, start=1):
                pixels, seconds = waiting.popleft()
                depth = result.depth.values
                picture = drawn(pixels[:, :, ::-1], depth, job.pred_only, job.grayscale)
                made.add(picture[:, :, ::-1], seconds)
                progress(done)
    except OSError as error:
        raise DepthFileError(f"{target}: cannot be written: {error}") from error
    return done


def opened(path: Path) -> Video:
    """A video of which every frame is taken. Raises as Video."""
    return Video(path, _EVERY)
