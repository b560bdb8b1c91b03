"""`python main.py export --preset`: the files of a preset, from depth files that are there."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.family import DEPTH, RELATIVE_INVERSE
from depth.images.read import read_image
from depth.maps.files import write_result
from depth.maps.result import Map, Result
from depth.presets.names import PRESET_NAMES
from depth.presets.table import PRESETS
from tests.depth.exports.test_export_command import run
from tests.support.exported import HEIGHT, WIDTH, image, metric
from tests.support.places import ROOT


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photograph, its depth in metres (m.json) and relative depth (r.json)."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("a.png", image())
    facts = {"path": "a.png", "sha256": read_image(Path("a.png")).sha256}
    true = metric().depth.values
    relative = Map((1 / true - np.float32(0.05)) * np.float32(8), RELATIVE_INVERSE)
    write_result(metric(), Path("m"), ("npy",), facts)
    write_result(Result({DEPTH: relative}, metric().provenance), Path("r"), ("npy",), facts)
    rows = [f"{x},{y},{true[y, x]}" for y in range(HEIGHT) for x in range(WIDTH)]
    Path("points.csv").write_text("\n".join(["x_px,y_px,depth_m", *rows]))
    return tmp_path


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", PRESET_NAMES)
def test_every_preset_is_made_and_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words = ("m.json", "--preset", name, "--to", "out", "--image", "a.png", "--fov-deg", "50")
    assert run(monkeypatch, *words) == 0
    printed = {Path(line) for line in capsys.readouterr().out.splitlines()}
    assert printed == {path for path in Path("out").rglob("*") if path.is_file()}
    stem = "a.png" if PRESETS[name].whole_name else "m"
    said = json.loads(Path("out", f"{stem}.json").read_text())["preset"]
    assert said["name"] == name
    assert {Path("out", each["name"]) for each in said["files"].values()} < printed


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("m.json", "--preset", "kity", "--to", "out"), 2, "'kity'"),
        (("r.json", "--preset", "kitti", "--to", "out"), 2, "with --fit"),
        (("r.json", "--preset", "colmap", "--to", "out"), 2, "with --fit"),
        (("m.json", "--preset", "iw3", "--to", "out"), 2, "image beside the depth"),
        (("m.json", "--preset", "kitti", "--to", "."), 2, "not that of the depth files"),
        (("m.json", "--preset", "kitti", "--to", "out", "--to", "b"), 2, "one --to"),
        (("m.json", "--preset", "kitti", "--to", "out", "--image", "b.png"), 2, "another image"),
        (("r.json", "--preset", "kitti", "--to", "out", "--fit", "points.csv"), 2, "--image"),
        (("none.json", "--preset", "kitti", "--to", "out"), 1, "none.json"),
        (("m.json", "--preset", "kitti", "--to", "a.png"), 1, "a.png"),
    ],
)
def test_mistakes_say_what_to_do(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    text: str,
) -> None:
    cv2.imwrite("b.png", image() // 2)
    assert run(monkeypatch, *words) == code
    assert text in capsys.readouterr().err
    assert not (place / "out").exists()


@pytest.mark.usefixtures("place")
def test_a_fit_gives_metres_to_relative_depth(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("r.json", "--preset", "nyu", "--to", "out", "--image", "a.png", "--fit", "points.csv")
    assert run(monkeypatch, *words) == 0
    assert f"fitted: {HEIGHT * WIDTH} of {HEIGHT * WIDTH} points agree" in capsys.readouterr().err
    codes = cv2.imread("out/r.png", cv2.IMREAD_ANYDEPTH)
    assert np.abs(codes / 1000 - metric().depth.values).max() < 0.002


@pytest.mark.usefixtures("place")
def test_the_commands_of_the_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (ROOT / "depth/presets/README.md").read_text().splitlines()
    start = "    python main.py export "
    commands = [line[len(start) :].split() for line in lines if line.startswith(start)]
    Path("input_images/samples").mkdir(parents=True)
    cv2.imwrite("input_images/samples/street.png", image())
    write_result(metric(), Path("output_depth/street"), ("png",), {"path": "street.png"})
    for command in commands:
        assert run(monkeypatch, *command) == 0
    assert len(commands) == 3
    assert cv2.imread("depths/street.png", cv2.IMREAD_ANYDEPTH).shape == (HEIGHT, WIDTH)
    assert Path("depths/transforms_depth.json").is_file()
    assert cv2.imread("stereo/rgb/street.png").shape == (HEIGHT, WIDTH, 3)
