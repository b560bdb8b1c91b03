"""Upstream's scripts give the same frames and the same points.

    DEPTH_ANYTHING_UPSTREAM=../Depth-Anything-V2 make test-long ARGS=tests/depth_anything/upstream

Takes a minute, and runs only if that variable names a checkout of DepthAnything/Depth-Anything-V2.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from depth_anything.cli import main
from serve.folder.flat import videos
from tests.support.commands import ended
from tests.support.places import ROOT
from tests.support.videos import SIZE, write_video

UPSTREAM = os.environ.get("DEPTH_ANYTHING_UPSTREAM")

pytestmark = [
    pytest.mark.skipif(not UPSTREAM, reason="DEPTH_ANYTHING_UPSTREAM names no checkout"),
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("upstream"),
]

FRAMES = 6


def upstream(kind: str, *options: object) -> None:
    """Run upstream's script in the working directory."""
    program = ROOT / "tests/support/upstream_scripts.py"
    command = [sys.executable, str(program), str(UPSTREAM), kind, *map(str, options)]
    subprocess.run(command, check=True)


def test_frames_are_upstreams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path("clip.mp4"), FRAMES)
    flags = ("--encoder", "vits", "--video-path", "clip.mp4", "--input-size", 98, "--grayscale")
    upstream("video", *flags, "--outdir", "theirs")
    frames: list[Any] = []

    class Recorder:
        def __init__(self, *_: object, **__: object) -> None: ...

        def __enter__(self) -> Recorder:
            return self

        def __exit__(self, *_: object) -> None: ...

        def add(self, picture: Any, _seconds: object) -> None:
            frames.append(picture[:, :, ::-1])

    monkeypatch.setattr(videos, "Film", Recorder)
    assert ended(main, "main.py", "run-video", *flags, "--outdir", "ours").code == 0
    expected, found = np.load("frames.npy").astype(int), np.stack(frames).astype(int)
    height, width = SIZE
    assert found.shape == expected.shape == (FRAMES, height, 2 * width + 50, 3)
    assert expected[:, :, width + 50 :].std() > 20
    assert np.abs(found - expected).max() <= 1


def test_points_are_upstreams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 11, 3), dtype=np.uint8)
    cv2.imwrite("a.png", cv2.resize(coarse, (154, 112), interpolation=cv2.INTER_CUBIC))
    flags: tuple[object, ...] = ("--encoder", "vits", "--load-from", "metric.pth")
    flags += ("--img-path", "a.png", "--focal-length-x", 300, "--focal-length-y", 310)
    upstream("points", *flags, "--outdir", "theirs")
    command = ("pointcloud", *flags, "--outdir", "ours", "--input-size", 112)
    assert ended(main, "main.py", *command).code == 0
    _, _, data = Path("ours/a.ply").read_bytes().partition(b"end_header\n")
    fields = [(name, "<f4") for name in "xyz"] + [(name, "u1") for name in "rgb"]
    found = np.frombuffer(data, fields)
    with np.load("points.npz") as file:
        expected = dict(file)
    points = np.stack([found[name] for name in "xyz"], 1)
    size = np.abs(expected["points"]).max()
    assert points.shape == expected["points"].shape == (154 * 112, 3)
    assert np.abs(points - expected["points"]).max() <= 1e-5 * size
    colours = np.stack([found[name] for name in "rgb"], 1)
    assert np.array_equal(colours, np.round(expected["colours"]))
