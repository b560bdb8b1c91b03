"""Sequences as other tools read them: one range for all frames, images beside depth, reruns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.errors import InputError
from depth.images.video import Video
from depth.maps.files import read_depth
from depth.maps.result import FloatArray
from serve.folder.clean import clean
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT
from serve.sequences.job import SequenceReport, run_sequence
from serve.sequences.request import SequenceJob
from tests.serve.sequences.test_sequence import described
from tests.support.sequences import Guess, close_engines, engine_of, pan, write_film, write_frames

COUNT = 5
SHOTS = pan(COUNT, way=0.1)


@pytest.fixture(autouse=True)
def engines() -> Iterator[None]:
    yield
    close_engines()


@pytest.fixture(name="frames")
def frames_fixture(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "in", SHOTS)


def ran(source: Path, out: Path, preset: str, **options: object) -> SequenceReport:
    formats = options.pop("formats", None)
    folder = FolderJob(source, out, preset=preset, formats=formats)  # type: ignore[arg-type]
    job = SequenceJob(folder, **options)  # type: ignore[arg-type]
    return run_sequence(engine_of(Guess(SHOTS)), job)


def written(out: Path, number: int) -> FloatArray:
    """The values of a frame as the sequence moved them."""
    (each,) = [each for each in described(out)["frames"] if each["number"] == number]
    raw = read_depth(out / "raw" / f"{each['name']}.json").depth.values
    return np.float32(each["scale"]) * raw + np.float32(each["shift"])


def test_iw3_gets_a_video_of_numbered_frames_with_one_range(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = ran(frames, out, "iw3", fps=12.5)
    assert (report.exit_code, report.counts[DONE]) == (0, COUNT)
    config = (out / "frames/iw3_export.yml").read_text().splitlines()
    assert config[:2] == ["type: video", "fps: 25/2"]
    numbers = [f"{number:06}.png" for number in range(COUNT)]
    for folder in ("rgb", "depth"):
        assert sorted(path.name for path in (out / "frames" / folder).iterdir()) == numbers
    values = [written(out, number) for number in range(COUNT)]
    low, high = min(each.min() for each in values), max(each.max() for each in values)
    for number, each in enumerate(values):
        said = json.loads((out / f"frames/{number:06}.json").read_text())["preset"]
        assert said["scale"] == pytest.approx((high - low) / 65535, rel=1e-5)
        assert said["offset"] == pytest.approx(low, rel=1e-5)
        codes = cv2.imread(str(out / "frames/depth" / numbers[number]), -1)
        read = said["offset"] + said["scale"] * codes
        assert np.abs(read - each).max() <= 0.51 * said["scale"] + 1e-5
        image = cv2.imread(str(frames / f"frame{number}.png"))
        assert (cv2.imread(str(out / "frames/rgb" / numbers[number])) == image).all()


def test_a_film_becomes_iw3_with_the_frames_of_the_film(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", SHOTS, [Fraction(n, 30) for n in range(COUNT)])
    out = tmp_path / "out"
    assert ran(film, out, "iw3").exit_code == 0
    assert "fps: 30" in (out / "frames/iw3_export.yml").read_text().splitlines()
    with Video(film, 1000) as video:
        for frame in video.frames():
            image = cv2.imread(str(out / f"frames/rgb/{frame.number:06}.png"))
            assert (image[:, :, ::-1] == frame.pixels).all()
    assert len(list((out / "frames/rgb").iterdir())) == COUNT
    again = ran(film, out, "iw3")
    assert again.counts == {KEPT: COUNT}
    (out / "frames/rgb/000003.png").write_bytes(b"damaged")
    assert ran(film, out, "iw3").counts == {KEPT: COUNT - 1, DONE: 1}


@pytest.mark.parametrize("ranges", ["sequence", "streaming", "frame"])
def test_nearness_has_the_range_that_was_asked_for(
    frames: Path, tmp_path: Path, ranges: str
) -> None:
    out = tmp_path / "out"
    ran(frames, out, "comfyui", ranges=ranges)
    ends = []
    for each in described(out)["frames"]:
        near = np.load(out / "frames" / f"{each['name']}.npy")[0, :, :, 0]
        values = written(out, each["number"])
        wanted = np.clip((values - each["low"]) / (each["high"] - each["low"]), 0, 1)
        assert np.abs(near - wanted).max() < 1e-4
        ends.append((near.min(), near.max()))
    whole = [end == pytest.approx((0.0, 1.0), abs=1e-5) for end in ends]
    assert all(whole) == (ranges == "frame")


def test_values_of_other_presets_are_those_of_the_sequence(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran(frames, out, "blender", formats=("npy",))
    for each in described(out)["frames"]:
        stored = read_depth(out / "frames" / f"{each['name']}.json").depth.values
        assert np.allclose(stored, written(out, each["number"]), atol=1e-5)
        assert (out / "frames" / f"{each['name']}.exr").is_file()


def test_a_rerun_with_another_preset_keeps_raw_depth_and_clean_removes_all(
    frames: Path, tmp_path: Path
) -> None:
    out, guess = tmp_path / "out", Guess(SHOTS)
    for preset, formats in (("iw3", None), ("midas", None), ("", ("png", "npy")), ("iw3", None)):
        folder = FolderJob(frames, out, preset=preset, formats=formats, preview=preset == "midas")
        assert run_sequence(engine_of(guess), SequenceJob(folder)).exit_code == 0
    assert guess.runs == COUNT
    assert (out / "frames/frame2.pfm").is_file()
    assert (out / "preview.mp4").is_file()
    assert [fate for fate in clean(out) if fate.left] == []
    assert list(out.iterdir()) == []


def test_another_rate_makes_the_files_of_iw3_again(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran(frames, out, "iw3")
    assert ran(frames, out, "iw3").counts == {KEPT: COUNT}
    assert ran(frames, out, "iw3", fps=30.0).counts == {DONE: COUNT}
    assert "fps: 30" in (out / "frames/iw3_export.yml").read_text()


def test_an_image_that_changes_meanwhile_fails_alone(frames: Path, tmp_path: Path) -> None:
    folder = FolderJob(frames, tmp_path / "out", preset="iw3")

    def seen(what: str, record: object, _total: object) -> None:
        if what == "depth" and getattr(record, "number", 0) == COUNT - 1:
            (frames / "frame1.png").write_bytes((frames / "frame0.png").read_bytes())

    report = run_sequence(engine_of(Guess(SHOTS)), SequenceJob(folder), seen)
    assert report.counts == {DONE: COUNT - 1, FAILED: 1}
    failed = described(tmp_path / "out")["frames"][1]
    assert "the image changed while the job ran" in failed["reason"]


def test_a_preset_that_the_model_cannot_meet_is_refused_before_work(
    frames: Path, tmp_path: Path
) -> None:
    guess = Guess(SHOTS)
    job = SequenceJob(FolderJob(frames, tmp_path / "out", preset="kitti"))
    with pytest.raises(InputError, match="preset kitti: holds metres"):
        run_sequence(engine_of(guess), job)
    assert (guess.runs, (tmp_path / "out").exists()) == (0, False)
