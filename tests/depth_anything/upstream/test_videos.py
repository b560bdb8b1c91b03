"""Upstream's videos of depth: its frames, the video's own times, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.artifact.program import ProgramKey
from depth.errors import DepthFileError, ImageError, InputError
from depth.maps.preview import WARM_LAST, upstream_levels
from depth_anything.cli import main
from serve.backend import Backend, ProgramWorker
from serve.folder.flat.videos import VideoJob, draw_video, opened, videos_of
from serve.pipeline import DepthPipeline
from tests.support.commands import ended
from tests.support.folder_jobs import Sum
from tests.support.manifests import made_artifact, made_manifest
from tests.support.videos import SIZE, av, write_video

FRAMES = 7


@pytest.fixture
def pipeline() -> Iterator[DepthPipeline]:
    artifact = replace(made_artifact(made_manifest([ProgramKey(28, 42, 1)])), identity="0" * 64)
    network = Sum()

    def two_cores(_library: Any, _images: int) -> Backend:
        workers = [ProgramWorker(lambda _program: network) for _ in range(2)]
        return Backend(workers, None, images_at_once=4, shared=True)

    made = DepthPipeline(
        lambda _sizes: [artifact], policy="buckets", sizes=[(28, 42)], backend=two_cores
    )
    with made:
        yield made


def frames(path: Path) -> list[tuple[Any, Any]]:
    """Pixels, RGB, and time of each frame."""
    with opened(path) as video:
        return [(frame.pixels, frame.seconds) for frame in video.frames()]


def job(path: Path, outdir: Path, pred_only: bool = False, grayscale: bool = False) -> VideoJob:
    return VideoJob(path, outdir, pred_only, grayscale)


def drawn(pipeline: Any, asked: VideoJob) -> Path:
    ((source, target),) = videos_of(asked)
    with opened(source) as video:
        assert draw_video(pipeline.stream, video, target, asked) == FRAMES
    return target


@pytest.mark.parametrize("grayscale", [False, True])
def test_depth_is_beside_the_video_at_the_same_times(
    pipeline: Any, grayscale: bool, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "a.avi", FRAMES)
    target = drawn(pipeline, job(path, tmp_path / "out", grayscale=grayscale))
    before, after = frames(path), frames(target)
    assert target.name == "a.mp4"
    assert [seconds for _, seconds in after] == [seconds for _, seconds in before]
    height, width = SIZE
    for (given, _), (made, _) in zip(before, after):
        assert made.shape == (height, 2 * width + 50, 3)
        result = pipeline(given)
        levels = upstream_levels(result.depth.values)
        colours = WARM_LAST[levels, 0, ::-1]
        expected = np.repeat(levels[:, :, None], 3, axis=2) if grayscale else colours
        assert np.abs(made[:, :width].astype(int) - given).mean() < 6  # both are compressed
        assert made[:, width + 4 : width + 46].min() > 240
        assert np.abs(made[:, width + 50 :].astype(int) - expected).mean() < 12


def test_depth_alone_has_the_size_of_the_video(pipeline: Any, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", FRAMES)
    target = drawn(pipeline, job(path, tmp_path / "out", pred_only=True))
    assert frames(target)[0][0].shape == (*SIZE, 3)


def test_videos_of_a_folder_and_of_a_list(tmp_path: Path) -> None:
    for name in ("in/a.mp4", "in/b/a.mov", "in/c.txt", "in/d.png", "in/vis/old.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = videos_of(job(tmp_path / "in", tmp_path / "in/vis"))
    assert [target.name for _, target in found] == ["a.mp4.mp4", "a.mov.mp4"]
    (tmp_path / "list.txt").write_text(f"{tmp_path}/in/a.mp4\n\n{tmp_path}/in/a.mp4\n")
    assert len(videos_of(job(tmp_path / "list.txt", tmp_path / "out"))) == 1
    with pytest.raises(InputError, match="no videos in it .*name another --video-path"):
        videos_of(_empty(tmp_path))
    with pytest.raises(InputError, match="name another folder for the output"):
        videos_of(job(tmp_path / "in/a.mp4", tmp_path / "in"))


def _empty(folder: Path) -> VideoJob:
    (folder / "empty").mkdir()
    return job(folder / "empty", folder / "out")


def test_a_damaged_video_leaves_no_file(pipeline: Any, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", FRAMES, sizes=(SIZE, (32, 32)), codec="mpeg4")
    asked = job(path, tmp_path / "out")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    with pytest.raises(ImageError), opened(path) as video:
        draw_video(pipeline.stream, video, tmp_path / "out/a.mp4", asked)
    assert not list((tmp_path / "out").glob("*"))


def test_a_place_that_cannot_be_written_says_so(pipeline: Any, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", FRAMES)
    (tmp_path / "out").touch()
    with opened(path) as video, pytest.raises(DepthFileError, match="cannot be written"):
        draw_video(pipeline.stream, video, tmp_path / "out/a.mp4", job(path, tmp_path / "out"))


def test_the_command_goes_on_after_a_damaged_video(
    pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    av()
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in/b.mp4", FRAMES)
    (tmp_path / "in/a.mp4").write_text("no video")
    monkeypatch.setattr("depth_anything.model_pipeline.DepthPipeline", lambda *_, **__: pipeline)
    arguments = ("run-video", "--video-path", tmp_path / "in", "--outdir", tmp_path / "out")
    found = ended(main, "main.py", *arguments, "--encoder", "demo")
    assert found.code == 3
    assert found.out == f"{tmp_path / 'out/b.mp4'}\n"
    assert "a.mp4: no video that can be read" in found.err
    assert found.err.endswith("one range for all: python inference.py --sequence --input VIDEO\n")
    (tmp_path / "in/b.mp4").unlink()
    found = ended(main, "main.py", *arguments)
    assert (found.code, "one range" in found.err) == (1, False)
