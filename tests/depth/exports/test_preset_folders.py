"""`python main.py export --preset` of folders of results: files, one summary, what is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from depth.family import DEPTH, RELATIVE_INVERSE
from depth.images.read import read_image
from depth.maps.files import write_result
from depth.maps.result import Map, Result
from depth.presets.files import save_result
from tests.depth.exports.test_export_command import run
from tests.support.exported import HEIGHT, WIDTH, image, metric

Export = Callable[..., tuple[int, list[str], str]]
NAMES = ("1.5.png", "cam/2.5.png")


@pytest.fixture(name="export")
def export_fixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Export:
    """The command, in a folder with images and their results in metres below results/."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        store(name)

    def exported(*words: str) -> tuple[int, list[str], str]:
        code = run(monkeypatch, "results", "--to", "out", *words)
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err

    return exported


def store(name: str, result: Result | None = None, **facts: Any) -> None:
    path = Path("in", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image())
    about = {"path": name, "sha256": read_image(path).sha256, **facts}
    write_result(result or metric(), Path("results", name).with_suffix(""), ("npy",), about)


def relative() -> Result:
    values = 1 / metric().depth.values
    return Result({DEPTH: Map(values, RELATIVE_INVERSE)}, metric().provenance)


def files() -> set[str]:
    return {path.as_posix() for path in Path("out").rglob("*") if path.is_file()}


def test_every_result_of_a_folder_and_one_summary(export: Export) -> None:
    code, printed, said = export("--preset", "nerfstudio")
    assert code == 0, said
    assert set(printed) == files()
    assert files() == {
        *("out/1.5.png", "out/1.5.json", "out/cam/2.5.png", "out/cam/2.5.json"),
        "out/transforms_depth.json",
    }
    found = json.loads(Path("out/transforms_depth.json").read_text())
    assert found["depth_unit_scale_factor"] == 0.001
    assert [each["file_path"] for each in found["frames"]] == list(NAMES)
    for each in found["frames"]:
        codes = cv2.imread(str(Path("out", each["depth_file_path"])), cv2.IMREAD_ANYDEPTH)
        assert np.abs(codes / 1000 - metric().depth.values).max() < 0.0006


def test_a_later_export_adds_to_the_summary(export: Export) -> None:
    export("--preset", "tum")
    store("3.5.png")
    _, printed, _ = export("results/3.5.json", "--preset", "tum")
    assert printed.count("out/3.5.png") == 1, "the folder has it too"
    Path("results").rename("before")
    store("4.5.png")
    code, printed, _ = export("--preset", "tum")
    assert code == 0
    assert printed[-1] == "out/depth.txt"
    lines = Path("out/depth.txt").read_text().splitlines()[2:]
    assert lines == ["1.5 1.5.png", "2.5 cam/2.5.png", "3.5 3.5.png", "4.5 4.5.png"]


def test_names_that_are_no_times_are_said(export: Export) -> None:
    store("street.png")
    code, printed, said = export("--preset", "tum")
    assert code == 0
    assert "out/depth.txt" not in printed
    assert "note: the names of the images are no times in seconds" in said


def test_results_that_cannot_meet_the_preset_are_named_and_the_others_done(export: Export) -> None:
    store("odd.png", relative())
    Path("results/damaged.json").write_text('{"maps": {}, "provenance": 3}')
    Path("results/3d.json").write_text('{"width": 3}')
    Path("results/half.json").write_text('{"maps')
    code, printed, said = export("--preset", "kitti")
    assert code == 3
    assert set(printed) == files()
    assert "out/1.5.png" in printed
    failed = [line for line in said.splitlines() if line.startswith("failed: ")]
    assert [line.split(": ")[1] for line in failed] == ["results/damaged.json", "results/odd.json"]
    assert "gives relative_inverse, which is no metres" in failed[1]
    assert "2 other .json files are no results" in said
    assert "2 of 4 results failed" in said


def test_where_none_can_it_is_refused_and_nothing_is_written(export: Export) -> None:
    for name in NAMES:
        store(name, relative())
    code, printed, said = export("--preset", "kitti")
    assert (code, printed) == (2, [])
    assert "preset kitti: none of the 2 results can give its files" in said
    assert not Path("out").exists()


def test_iw3_gets_the_images_that_the_results_name(export: Export) -> None:
    store("3.5.png")
    code, printed, said = export("--preset", "iw3", "--images", "in")
    assert code == 0, said
    assert {"out/rgb/1.5.png", "out/depth/1.5.png", "out/cam/rgb/2.5.png"} < set(printed)
    assert len(printed) == len(set(printed)), "a file of all results is printed once"
    assert (cv2.imread("out/cam/rgb/2.5.png") == image()).all()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"path": "../in/x.png"}, "names no image below --images"),
        ({"path": "/etc/passwd"}, "names no image below --images"),
        ({"path": None}, "names no image below --images"),
        ({"path": "gone.png"}, "gone.png"),
        ({"sha256": "0" * 64}, "of another image"),
    ],
)
def test_an_image_that_is_not_that_of_the_result_fails_alone(
    export: Export, facts: dict[str, Any], said: str
) -> None:
    store("x.png", None, **facts)
    code, _, errors = export("--preset", "iw3", "--images", "in")
    assert code == 3
    (failed,) = [line for line in errors.splitlines() if line.startswith("failed: ")]
    assert "results/x.json" in failed
    assert said in failed


def test_a_fit_of_each_image(export: Export) -> None:
    true = metric().depth.values
    places = [(x, y) for y in range(HEIGHT) for x in range(WIDTH)]
    rows = [f"{name},{x},{y},{true[y, x]}" for name in NAMES for x, y in places]
    Path("points.csv").write_text("\n".join(["image,x_px,y_px,depth_m", *rows]))
    for name in NAMES:
        store(name, relative())
    code, _, said = export("--preset", "nyu", "--fit", "points.csv", "--images", "in")
    assert code == 0, said
    assert "fitted: results/cam/2.5.json: " in said
    codes = cv2.imread("out/cam/2.5.png", cv2.IMREAD_ANYDEPTH)
    assert np.abs(codes / 1000 - true).max() < 0.002


def test_two_results_for_the_same_files(export: Export) -> None:
    store("cam/1.5.png")
    code, printed, said = export("results/cam/1.5.json", "--preset", "kitti")
    assert code == 3
    names = "results/cam/1.5.json: its files would have the names of those of results/1.5.json"
    assert names in said
    assert {"out/1.5.png", "out/cam/1.5.png"} < set(printed)


def test_results_in_the_folder_itself_are_never_replaced(export: Export) -> None:
    write_result(metric(), Path("out/1.5"), ("npz",), {})
    before = Path("out/1.5.json").read_bytes()
    code, _, said = export("--preset", "kitti")
    assert code == 3
    assert "a result with depth files of its own is there: give another --to" in said
    assert Path("out/1.5.json").read_bytes() == before


def test_an_export_into_a_folder_of_the_results_is_left_out(
    export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "results", "--preset", "midas", "--to", "results/pfm") == 0
    assert run(monkeypatch, "results", "--preset", "midas", "--to", "results/pfm") == 0
    assert not Path("results/pfm/pfm").exists()
    assert export("--preset", "kitti")[0] == 3, "those of the preset alone have no depth to read"


def test_every_image_of_one_name_as_colmap_has_it(export: Export) -> None:
    Path("results/1.5.json").rename("results/x.json")
    save_result(metric(), Path("results/1"), (), {"path": ".."}, preset="blender")
    code, printed, _ = export("--preset", "colmap")
    assert code == 3
    assert {"out/1.5.png.geometric.bin", "out/cam/2.5.png.geometric.bin"} < set(printed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--preset", "kitti", "--image", "in/1.5.png"), "give --images"),
        (("--preset", "kitti", "--fit", "points.csv"), "--images"),
        (("nothing", "--preset", "kitti"), "no .json of a result in it"),
        (("results/cam/..", "--preset", "kitti", "--to", "b"), "one --to"),
        ((), "several are for --preset"),
        (("results", "--images", "in"), "several are for --preset"),
    ],
)
def test_mistakes_say_what_to_do(export: Export, words: tuple[str, ...], said: str) -> None:
    Path("nothing").mkdir()
    Path("points.csv").write_text("image,x_px,y_px,depth_m\n1.5.png,1,1,2\n")
    code, _, errors = export(*words)
    assert code == 2
    assert said in errors
    assert not Path("out").exists()
