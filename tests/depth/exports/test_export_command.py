"""`python main.py export`: from depth files and their image to a surface and points."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.family import DEPTH, RELATIVE_INVERSE
from depth.images.read import read_image
from depth.maps.files import write_result
from depth.maps.result import Map, Result
from depth_anything.cli import main
from tests.support.exported import HEIGHT, WIDTH, image, metric, read_glb, read_ply


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a photograph and its depth files."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("a.png", image())
    facts = {"sha256": read_image(Path("a.png")).sha256}
    write_result(metric(), Path("a"), ("npy", "npz"), facts)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["main.py", "export", *words])
    with pytest.raises(SystemExit) as ended:
        main("main.py")
    return int(ended.value.code or 0)


def test_both_files_at_once(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("a.json", "--image", "a.png", "--to", "x.glb", "--to", "y.ply", "--fov-deg", "50")
    assert run(monkeypatch, *words) == 0
    assert capsys.readouterr().out == "x.glb\ny.ply\n"
    document, _ = read_glb((place / "x.glb").read_bytes())
    assert document["asset"]["extras"]["field_of_view"]["horizontal_deg"] == 50.0
    _, rows = read_ply((place / "y.ply").read_bytes())
    assert len(rows) == HEIGHT * WIDTH


def test_an_npz_needs_no_json(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "a.json").unlink()
    assert run(monkeypatch, "a.npz", "--image", "a.png", "--to", "x.glb") == 0
    assert read_glb((place / "x.glb").read_bytes())


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("a.json", "--image", "a.png", "--to", "x.obj"), 2, "ends in .glb or .ply"),
        (("a.json", "--image", "b.png", "--to", "x.glb"), 2, "is of another image"),
        (("a.json", "--image", "none.png", "--to", "x.glb"), 2, "none.png: cannot be read"),
        (("none.json", "--image", "a.png", "--to", "x.glb"), 1, "none.json"),
        (("a.json", "--image", "a.png", "--to", "no/x.glb"), 1, "no/x.glb: cannot be written"),
        (("a.json", "--image", "a.png", "--to", "x.glb", "--fov-deg", "0"), 2, "angle of view"),
    ],
)
def test_mistakes_get_one_line(
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
    assert not (place / "x.glb").exists()


def test_relative_depth_is_moved_onto_measured_points(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    true = metric().depth.values
    relative = Map((1 / true - np.float32(0.05)) * np.float32(8), RELATIVE_INVERSE)
    write_result(Result({DEPTH: relative}, metric().provenance), Path("r"), ("npy",), {})
    rows = [f"{x},{y},{true[y, x]}" for y in range(HEIGHT) for x in range(WIDTH)]
    Path("points.csv").write_text("\n".join(["x_px,y_px,depth_m", *rows]))
    words = ("r.json", "--image", "a.png", "--to", "x.ply", "--fov-deg", "50")
    assert run(monkeypatch, *words, "--fit", "points.csv") == 0
    said = capsys.readouterr()
    assert said.out == "x.ply\n"
    assert f"fitted: {HEIGHT * WIDTH} of {HEIGHT * WIDTH} points agree, median error" in said.err
    comments, found = read_ply((place / "x.ply").read_bytes())
    assert comments["unit"] == "m"
    z = [-row[2] for row in found]
    assert (min(z), max(z)) == pytest.approx((true.min(), true.max()), rel=1e-3)
    assert run(monkeypatch, *words, "--fit-by", "scale") == 2
    assert "give --fit too" in capsys.readouterr().err
