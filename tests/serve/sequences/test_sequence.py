"""The sequence job: files, videos with the source's times, reruns, kills, memory, refusals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.errors import ImageError, InputError
from depth.fitting.fitter import fitter_of
from depth.maps.files import read_depth
from depth.maps.png import Coding, from_codes
from serve.errors import ManifestError, NoImagesError
from serve.folder.clean import clean
from serve.folder.manifest import manifest_in
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT, TODO
from serve.jobs.stop import Stop
from serve.sequences import outputs
from serve.sequences.job import SequenceReport, run_sequence
from serve.sequences.request import SequenceJob
from tests.support.places import ROOT
from tests.support.sequences import Guess, close_engines, engine_of, pan, write_film, write_frames
from tests.support.videos import av

COUNT = 8
SHOTS = pan(COUNT, way=0.1)
# Of a phone: no two steps are alike, and the first frame is late.
TIMES = [Fraction(n * n + 30 * n + 100, 1000) for n in range(COUNT)]


@pytest.fixture(autouse=True)
def engines() -> Iterator[None]:
    yield
    close_engines()


def ran(
    source: Path, out: Path, guess: Guess | None = None, stop: Stop | None = None, **options: Any
) -> SequenceReport:
    folder = {
        name: options.pop(name) for name in ("preview", "formats", "dry_run") if name in options
    }
    job = SequenceJob(FolderJob(source, out, **folder), **options)
    return run_sequence(engine_of(guess or Guess(SHOTS)), job, stop=stop)


def described(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "sequence.json").read_text(encoding="utf-8"))
    return found


def contents(out: Path) -> dict[str, bytes]:
    names = {path for path in out.rglob("*") if path.is_file() and path.suffix != ".jsonl"}
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in names}


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "in", SHOTS)


def test_a_folder_becomes_frames_of_one_range(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = ran(frames, out, preview=True)
    assert (report.exit_code, report.counts[DONE], report.shots) == (0, COUNT, 1)
    about = described(out)
    assert [each["name"] for each in about["frames"]] == [f"frame{n}" for n in range(COUNT)]
    assert about["flicker"]["after"] < 0.1 * about["flicker"]["before"]
    scales = set()
    for each in about["frames"]:
        written = json.loads((out / "frames" / f"{each['name']}.json").read_text())
        encoding = written["maps"]["depth"]["files"]["png"]
        scales.add((encoding["scale"], encoding["offset"]))
        assert written["source"]["sequence"]["scale"] == each["scale"]
        assert (encoding["scale"], encoding["offset"]) == (each["code_scale"], each["code_offset"])
        raw = read_depth(out / "raw" / f"{each['name']}.json").depth.values
        values = read_depth(out / "frames" / f"{each['name']}.json").depth.values
        undone = (values - each["shift"]) / each["scale"]
        assert np.abs(undone - raw).max() <= each["code_scale"] / each["scale"]
    assert len(scales) == 1
    own = ran(frames, tmp_path / "own", ranges="frame")
    assert own.exit_code == 0
    assert len({each["code_offset"] for each in described(tmp_path / "own")["frames"]}) == COUNT


def decoded(path: Path, form: str) -> tuple[list[Fraction], list[np.ndarray]]:
    with av().open(str(path)) as container:
        found = list(container.decode(container.streams.video[0]))
        return [f.pts * f.time_base for f in found], [f.to_ndarray(format=form) for f in found]


def test_videos_have_the_times_of_the_source_and_lossless_codes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    film = write_film(tmp_path / "film.mp4", SHOTS, TIMES)
    report = ran(film, out, preview=True)
    assert report.notes == ["audio is not carried over"]
    times, codes = decoded(out / "depth.mkv", "gray16le")
    assert [abs(a - b) <= Fraction(1, 1000) for a, b in zip(times, TIMES)] == [True] * COUNT
    shown, pictures = decoded(out / "preview.mp4", "rgb24")
    assert [abs(a - b) <= Fraction(1, 1000) for a, b in zip(shown, TIMES)] == [True] * COUNT
    assert len(times) == len(shown) == COUNT
    for number, (each, code) in enumerate(zip(described(out)["frames"], codes)):
        coding = Coding(each["code_scale"], each["code_offset"])
        stored = read_depth(out / "frames" / f"{number:06}.json").depth.values
        assert (from_codes(code, coding) == stored).all()
        assert Fraction(each["pts"]) * Fraction(*described(out)["tick_s"]) == TIMES[number]
    assert np.ptp(pictures[0].reshape(-1, 3).astype(int), axis=0).max() > 100


def test_a_rerun_makes_nothing_and_repairs_what_is_damaged(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    guess = Guess(SHOTS)
    ran(frames, out, guess, preview=True)
    whole = contents(out)
    for path in (out / "raw/frame2.tiff", out / "frames/frame3.png", out / "depth.mkv"):
        path.write_bytes(path.read_bytes()[:-9] + b"different")
    report = ran(frames, out, guess, preview=True)
    assert guess.runs == COUNT + 1
    assert (report.counts[DONE], report.counts[KEPT]) == (2, COUNT - 2)
    again = contents(out)
    assert {name for name in whole if whole[name] != again[name]} <= {"sequence.json"}
    made_ns = (out / "depth.mkv").stat().st_mtime_ns
    report = ran(frames, out, guess, preview=True)
    assert (guess.runs, report.counts[KEPT]) == (COUNT + 1, COUNT)
    assert (out / "depth.mkv").stat().st_mtime_ns == made_ns
    shutil.copy(frames / "frame0.png", frames / "frame5.png")
    ran(frames, out, guess)
    assert guess.runs == COUNT + 2
    ran(frames, out, Guess(SHOTS), ranges="streaming", align="none")
    assert {each["scale"] for each in described(out)["frames"]} == {1.0}
    assert contents(out)["raw/frame0.tiff"] == whole["raw/frame0.tiff"]


@pytest.mark.parametrize("ranges", ["sequence", "streaming"])
def test_a_stop_leaves_the_rest_to_a_rerun(frames: Path, tmp_path: Path, ranges: str) -> None:
    out, stop, guess = tmp_path / "out", Stop(), Guess(SHOTS)
    job = SequenceJob(FolderJob(frames, out), ranges=ranges)

    def seen(_what: str, record: Any, _total: Any) -> None:
        if record.number == 1:
            stop.request("a test")

    report = run_sequence(engine_of(guess), job, seen, stop)
    assert (report.exit_code, report.stopped) == (3, "a test")
    assert not {"depth.mkv", "sequence.json"} & {path.name for path in out.iterdir()}
    assert not list(out.glob(".depth-*"))
    assert run_sequence(engine_of(guess), job).exit_code == 0
    assert guess.runs == COUNT
    assert {path.name for path in out.iterdir()} >= {"depth.mkv", "sequence.json"}


def test_a_killed_job_goes_on_and_gives_the_same_files(frames: Path, tmp_path: Path) -> None:
    def command(out: Path, pause_s: float) -> list[str]:
        script = [sys.executable, "-m", "tests.support.sequences", str(frames), str(out)]
        return [*script, str(pause_s), str(COUNT)]

    subprocess.run(command(tmp_path / "whole", 0), cwd=ROOT, check=True, capture_output=True)
    out = tmp_path / "out"
    killed = subprocess.Popen(command(out, 0.3), cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline_s = time.monotonic() + 60
        while not list(out.glob("raw/*.json")) and time.monotonic() < deadline_s:
            time.sleep(0.02)
    finally:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    assert 1 <= len(list(out.glob("raw/*.json"))) < COUNT
    (out / "raw/.depth-0123456789abcdef0123456789abcdef.tmp").write_bytes(b"half")
    ended = subprocess.run(command(out, 0), cwd=ROOT, check=True, capture_output=True, text=True)
    assert re.search(r"flicker \d\.\d{3} → 0\.\d{3} \(−\d+ %\)", ended.stderr)
    whole, found = contents(tmp_path / "whole"), contents(out)
    for name in ("sequence.json",):  # which says what was done and what was kept
        assert {**json.loads(whole.pop(name)), "frames": 0, "notes": 0} == {
            **json.loads(found.pop(name)),
            "frames": 0,
            "notes": 0,
        }
    assert whole == found


def test_a_damaged_frame_fails_alone(frames: Path, tmp_path: Path) -> None:
    (frames / "frame3.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    report = ran(frames, out)
    assert (report.exit_code, report.counts[FAILED], report.counts[DONE]) == (3, 1, COUNT - 1)
    failed = described(out)["frames"][3]
    assert failed["status"] == FAILED
    assert "frame3.png" in failed["reason"]
    times, _ = decoded(out / "depth.mkv", "gray16le")
    assert len(times) == COUNT - 1
    assert float(times[3] - times[2]) == pytest.approx(2 / 24, abs=0.002)  # its neighbour stays


def test_a_dry_run_writes_nothing(frames: Path, tmp_path: Path) -> None:
    report = ran(frames, tmp_path / "out", dry_run=True)
    assert report.counts[TODO] == COUNT
    assert not (tmp_path / "out").exists()


def test_clean_removes_a_sequence_and_leaves_what_was_changed(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran(frames, out, preview=True)
    (out / "frames/frame1.png").write_bytes(b"mine")
    assert [fate.name for fate in clean(out) if fate.left] == ["frames/frame1.png"]
    left = {path.name for path in out.rglob("*") if path.is_file()}
    assert left <= {"frame1.png", "depth-report.jsonl"}
    (out / "frames/frame1.png").unlink()
    assert not [fate for fate in clean(out) if fate.left]
    assert [path.name for path in out.rglob("*")] == ["frames"]


def test_without_pyav_frames_are_written(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "has_video", lambda: False)
    report = ran(frames, tmp_path / "out")
    assert report.exit_code == 0
    assert 'pip install ".[video]"' in report.notes[0]
    assert [path.name for path in report.files] == ["sequence.json"]
    assert len(list((tmp_path / "out/frames").glob("*.png"))) == COUNT


def test_frames_of_two_sizes_give_no_video(frames: Path, tmp_path: Path) -> None:
    from PIL import Image

    with Image.open(frames / "frame7.png") as image:
        image.crop((0, 0, 120, 90)).save(frames / "frame7.png")
    report = ran(frames, tmp_path / "out")
    assert report.notes == ["no videos: the frames differ in size"]
    assert not list((tmp_path / "out").glob("*.mkv"))
    assert report.counts[DONE] == COUNT


def test_refusals(frames: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(NoImagesError, match="no images"):
        ran(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(InputError, match="expected a folder of images, or a video"):
        ran(frames / "frame0.png", tmp_path / "out")
    with pytest.raises(ImageError, match="no video"):
        ran(tmp_path / "bad.mp4", tmp_path / "out")
    with pytest.raises(InputError, match="both input and output"):
        ran(frames, frames)
    for options in ({"ranges": "x"}, {"align": "x"}, {"fps": 0.0}, {"fps": float("nan")}):
        with pytest.raises(InputError, match="--"):
            ran(frames, tmp_path / "out", **options)
    fit = fitter_of(np.array([[1.0, 2.0, 3.0]]))
    with pytest.raises(InputError, match="without --sequence"):
        SequenceJob(FolderJob(frames, tmp_path / "out", fit=fit))
    with manifest_in(tmp_path / "out", True), pytest.raises(ManifestError, match="another job"):
        ran(frames, tmp_path / "out")


@pytest.mark.long
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    """320 frames take as much as 40, give or take what the allocator keeps."""
    shots = pan(40, way=0.1)
    peaks_mb = []
    for count in (40, 320):
        film = tmp_path / f"{count}.mp4"
        write_film(
            film, [shots[n % 40] for n in range(count)], [Fraction(n, 30) for n in range(count)]
        )
        script = (
            "import resource, sys; from tests.support.sequences import *\n"
            "from serve.sequences.job import run_sequence\n"
            "from serve.sequences.request import SequenceJob\n"
            "engine = engine_of(Guess([shot(0)] * 512))\n"
            "job = SequenceJob(FolderJob(Path(sys.argv[1]), Path(sys.argv[2])))\n"
            f"assert run_sequence(engine, job).counts['done'] == {count}\n"
            "close_engines(); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
        )
        command = [sys.executable, "-c", script, str(film), str(tmp_path / f"out{count}")]
        ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        peaks_mb.append(int(ended.stdout))
    assert peaks_mb[1] < peaks_mb[0] + 15, peaks_mb
