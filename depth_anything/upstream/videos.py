"""Upstream's run_video.py: the same flags, the same frames, each at its own time."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from depth.command import path_option
from depth_anything.upstream.options import ENCODER, GRAYSCALE, INPUT_SIZE, pred_only

_PARTLY, _FAILED = 3, 1
_FLICKER = (
    "each frame has its own range, so brightness flickers; one range for all: "
    "python inference.py --sequence --input VIDEO"
)
_VIDEO_PATH = path_option(
    ..., "A video, a folder of videos, or a .txt file with a path per line.", "--video-path"
)
_OUTDIR = path_option(Path("vis_video_depth"), "Folder that receives the videos.", "--outdir")
_PRED_ONLY = pred_only("video")


def run_video(
    video_path: Path = _VIDEO_PATH,
    input_size: Optional[int] = INPUT_SIZE,
    outdir: Path = _OUTDIR,
    encoder: str = ENCODER,
    pred_only: bool = _PRED_ONLY,
    grayscale: bool = GRAYSCALE,
) -> None:
    """MP4 videos of depth with upstream's flags. Sound is left out.

    As in upstream's script, each frame is stretched over its own range of depth. So brightness
    flickers; `inference.py --sequence` gives all frames one range. Odd sides lose a pixel.
    """
    from depth.command import ends_on_sigterm
    from depth.console import counted, one_line
    from depth.errors import DepthAnythingError
    from depth_anything.model_pipeline import DepthPipeline
    from serve.folder.flat.videos import VideoJob, draw_video, opened, videos_of

    job = VideoJob(video_path, outdir, pred_only, grayscale)
    videos = videos_of(job)
    failed = 0
    pipeline = DepthPipeline(encoder, input_size=input_size)
    with ends_on_sigterm(), pipeline:
        for source, target in videos:
            try:
                with opened(source) as video, counted(one_line(str(source)), video.total) as bar:
                    draw_video(pipeline.stream, video, target, job, bar)
                typer.echo(one_line(str(target)))
            except DepthAnythingError as error:
                failed += 1
                typer.echo(f"failed: {one_line(f'{source}: {error}')}", err=True)
    if failed < len(videos):
        typer.echo(_FLICKER, err=True)
    if failed:
        raise typer.Exit(_FAILED if failed == len(videos) else _PARTLY)
