"""`main.py evaluate` over folders as NYU and KITTI have them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.errors import DepthFileError, InputError
from depth.evaluation.files import Arrays, read_prediction, read_truth
from depth.evaluation.pairing import paired, predictions_in, truths_in
from depth.evaluation.report import write_report
from depth.evaluation.run import Evaluation, Protocol, evaluate
from depth.family import METRES, RELATIVE_INVERSE
from depth.maps import png
from depth.maps.files import write_result
from depth.maps.result import Map, Result
from depth_anything.cli import main
from tests.support.commands import ended as ended_command
from tests.support.depth_samples import MADE_BY

NAMES = ["kitchen/1", "kitchen/2", "office/1"]


def truth_of(number: int) -> Any:
    rng = np.random.default_rng(number)
    metres = rng.uniform(1, 9, (12, 16))
    metres[rng.random(metres.shape) < 0.1] = 0
    return metres


def nyu_like(folder: Path, kind: str) -> Path:
    """pred/ with results of this project, truth/ with PNG in millimetres."""
    for number, name in enumerate(NAMES):
        metres = truth_of(number)
        stored = np.round(metres * 1000).astype(np.uint16)
        values = np.where(metres > 0, metres, 5.0) * 1.1
        if kind == RELATIVE_INVERSE:
            values = 6 / values + 1
        path = folder / "truth" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png.encode(stored))
        result = Result({"depth": Map(values.astype(np.float32), kind)}, MADE_BY)
        write_result(result, folder / "pred" / name, ["tiff"], {})
    return folder


def evaluated(folder: Path, *options: Any) -> Any:
    arguments = ("evaluate", "--pred", folder / "pred", "--truth", folder / "truth", *options)
    return ended_command(main, "main.py", *arguments)


def test_relative_depth_is_aligned_and_reported(tmp_path: Path) -> None:
    folder = nyu_like(tmp_path, RELATIVE_INVERSE)
    report = tmp_path / "a.json"
    aligned = ("--align", "inverse-scale-shift", "--max-depth", 10, "--truth-scale", 1000)
    ended = evaluated(folder, *aligned, "--report", report)
    assert ended.code == 0, ended.err
    said = json.loads(report.read_text())
    assert [row["name"] for row in said["rows"]] == NAMES
    assert said["images"] == 3
    assert said["pixels"] == sum(int((truth_of(n) > 0).sum()) for n in range(3))
    assert said["mean"]["abs_rel"] < 1e-3  # of millimetres
    assert said["made_by"][0]["model"] == MADE_BY.model
    assert said["protocol"]["align"] == "inverse-scale-shift"
    assert f"3 images, {said['pixels']} valid pixels" in ended.out
    assert "delta1    1.0000" in ended.out


def test_metres_are_measured_as_they_are(tmp_path: Path) -> None:
    folder = nyu_like(tmp_path, METRES)
    ended = evaluated(folder, "--truth-scale", 1000, "--report", tmp_path / "a.csv")
    assert ended.code == 0, ended.err
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [float(row["abs_rel"]) for row in rows] == pytest.approx([0.1] * 3, abs=1e-3)
    assert {row["left_out"] for row in rows} == {""}


def test_what_has_no_figures_is_named_and_ends_with_3(tmp_path: Path) -> None:
    folder = nyu_like(tmp_path, METRES)
    (folder / "truth/kitchen/1.png").write_bytes(png.encode(np.zeros((12, 16), np.uint16)))
    (folder / "truth/office/1.png").unlink()
    (folder / "truth/cellar.png").write_bytes(png.encode(np.ones((12, 16), np.uint16)))
    ended = evaluated(folder, "--truth-scale", 1000, "--report", tmp_path / "a.csv")
    assert ended.code == 3
    assert "1 images" in ended.out
    for line in (
        "kitchen/1: no valid pixel",
        "office/1: has no true depth",
        "cellar: has no prediction",
    ):
        assert line in ended.err
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert len(rows) == 4
    assert sum(bool(row["left_out"]) for row in rows) == 3


def test_a_damaged_file_is_left_out_and_nothing_at_all_ends_with_1(tmp_path: Path) -> None:
    folder = nyu_like(tmp_path, METRES)
    for name in NAMES:
        path = folder / "pred" / f"{name}.tiff"
        path.write_bytes(path.read_bytes()[:-9])
    ended = evaluated(folder, "--truth-scale", 1000, "--report", tmp_path / "a.json")
    assert ended.code == 1
    assert ended.err.count("has other bytes than its .json says") == 3
    assert json.loads((tmp_path / "a.json").read_text())["mean"] is None


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        (RELATIVE_INVERSE, ["--truth-scale", "1000"], "give --align inverse-scale-shift"),
        (METRES, [], "give --truth-scale, how many are 1 m: 256 for KITTI"),
        (METRES, ["--truth-scale", "0"], "--truth-scale 0: expected a number over 0"),
        (METRES, ["--align", "inverse-scale-shift"], "needs --max-depth"),
        (METRES, ["--report", "a.txt"], "ends in .csv or .json"),
        (METRES, ["--report", "missing/a.csv"], "its folder is not there; make it"),
    ],
)
def test_a_question_without_an_answer_ends_with_2(
    kind: str, options: list[str], text: str, tmp_path: Path
) -> None:
    ended = evaluated(nyu_like(tmp_path, kind), *options)
    assert ended.code == 2
    assert text in ended.err


def test_arrays_of_others_are_read_once_their_kind_is_said(tmp_path: Path) -> None:
    metres = truth_of(0)
    for side in ("pred", "truth"):
        (tmp_path / side).mkdir()
    np.save(tmp_path / "truth/a.npy", metres)
    (tmp_path / "pred/a.png").write_bytes(png.encode(np.round(metres * 256).astype(np.uint16)))
    arrays = Arrays(METRES, 256)
    pairs = paired(predictions_in(tmp_path / "pred"), truths_in(tmp_path / "truth"))
    found = evaluate(pairs, Protocol(arrays=arrays))
    assert found.rows[0].figures["abs_rel"] < 2e-3
    assert found.made == []
    ended = evaluated(tmp_path)
    assert (ended.code, "name its kind with --pred-kind" in ended.err) == (1, True)


def test_a_file_that_says_what_it_holds_is_believed(tmp_path: Path) -> None:
    result = Result({"depth": Map(np.array([[1.0, 2.5]], np.float32), METRES)}, MADE_BY)
    write_result(result, tmp_path / "a", ["png", "exr"], {})
    (tmp_path / "a.json").unlink()
    found = read_prediction(tmp_path / "a.png", Arrays(RELATIVE_INVERSE, 1000))
    assert (found.kind, found.values.tolist()) == (METRES, [[1.0, 2.5]])
    with pytest.raises(DepthFileError, match="no .json beside it names the kind"):
        read_prediction(tmp_path / "a.exr", Arrays(METRES))


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<f2", "<u2", "<i4"])
def test_arrays_of_numbers_are_metres_once_scaled(dtype: str, tmp_path: Path) -> None:
    stored = np.array([[0, 500, 2000]], dtype)
    np.save(tmp_path / "a.npy", stored)
    assert read_truth(tmp_path / "a.npy", 1000).tolist() == [[0.0, 0.5, 2.0]]


def test_what_is_no_measurement_is_zero_in_true_depth_and_refused_in_predictions(
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "a.npy", np.array([[np.nan, np.inf, -1.0, 2.0]]))
    assert read_truth(tmp_path / "a.npy", None).tolist() == [[0.0, 0.0, 0.0, 2.0]]
    with pytest.raises(DepthFileError, match="2 predicted values are not finite"):
        read_prediction(tmp_path / "a.npy", Arrays(METRES))
    with pytest.raises(InputError, match="--pred-kind 'meters': choose from"):
        read_prediction(tmp_path / "a.npy", Arrays("meters"))


@pytest.mark.parametrize(
    ("dtype", "shape", "text"),
    [("<c8", (2, 2), "NPY of <c8"), ("<f8", (2, 2, 2), "shape"), ("|O", (1, 1), "plain array")],
)
def test_hostile_arrays_are_refused(
    dtype: str, shape: tuple[int, ...], text: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, dtype), allow_pickle=True)
    with pytest.raises(DepthFileError, match=text):
        read_truth(tmp_path / "a.npy", 1)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9000, 9000), }"
    (tmp_path / "b.npy").write_bytes(
        b"\x93NUMPY\x01\x00" + bytes([len(header) + 1, 0]) + header + b"\n"
    )
    with pytest.raises(DepthFileError, match="damaged NPY: expected 648000000 bytes"):
        read_truth(tmp_path / "b.npy", 1)


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    found = Evaluation(replace(Protocol(), crop="garg"), "path")
    with pytest.raises(DepthFileError, match="cannot be written"):
        write_report(tmp_path / "missing/a.csv", found)
