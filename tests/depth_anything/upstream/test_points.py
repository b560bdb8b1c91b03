"""Upstream's point clouds: its numbers, and a refusal of what has no metres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from depth.errors import InputError
from depth.family import METRES, RELATIVE_INVERSE
from depth.images.read import read_image
from depth.maps.result import Map, Result
from depth.weights.registry import published_files
from depth_anything.cli import main
from depth_anything.upstream.points import check_metric, metric_model
from serve.folder.flat.job import run_flat
from serve.folder.flat.points import PointJob, points_of
from tests.support.commands import ended
from tests.support.depth_samples import MADE_BY
from tests.support.folder_jobs import close_engines, make_engine

FX, FY = 470.4, 300.0


def vertices(data: bytes) -> Any:
    """The points of a PLY file, read by its own header."""
    header, _, rest = data.partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    names = {"float": "<f4", "uchar": "u1"}
    fields = [line.split()[1:] for line in lines if line.startswith("property")]
    found = np.frombuffer(rest, [(name, names[kind]) for kind, name in fields])
    assert f"element vertex {len(found)}" in lines
    return found


def as_upstream(depth: Any, fx: float, fy: float) -> Any:
    """[N,3], one pixel after the other, by the formulas of its script."""
    height, width = depth.shape
    return np.array(
        [
            ((u - width / 2) / fx * z, (v - height / 2) / fy * z, z)
            for v, row in enumerate(depth.tolist())
            for u, z in enumerate(row)
        ]
    )


def photo(folder: Path) -> Path:
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "a.png"), pixels)
    return folder / "a.png"


def test_points_and_colours_are_upstreams(tmp_path: Path) -> None:
    path = photo(tmp_path / "in")
    depth = np.random.default_rng(1).uniform(0.5, 20, (6, 9)).astype(np.float32)
    job = PointJob(path, tmp_path, FX, FY, factor=2.0)
    data = job.encoded(read_image(path), Result({"depth": Map(depth, METRES)}, MADE_BY))
    found = vertices(data)
    expected = as_upstream(2 * depth, FX, FY)
    for axis, name in enumerate("xyz"):
        assert np.abs(found[name] - expected[:, axis]).max() <= 1e-6 * np.abs(expected).max()
    rgb = cv2.imread(str(path))[:, :, ::-1].reshape(-1, 3)
    assert np.array_equal(np.stack([found[c] for c in ("red", "green", "blue")], 1), rgb)
    assert b'comment unit "m"' in data
    assert b"comment factor 2.0" in data


def test_relative_depth_is_no_points(tmp_path: Path) -> None:
    path = photo(tmp_path / "in")
    try:
        job = PointJob(path, tmp_path / "out", FX, FY)
        entries = []
        report = run_flat(make_engine(), job, lambda entry, _: entries.append(entry))
    finally:
        close_engines()
    assert report.exit_code == 1
    assert entries[0].reason == f"points need metres, and this depth is {RELATIVE_INVERSE}"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("px", [0.0, -1.0, float("nan"), float("inf")])
def test_a_focal_length_that_is_none_is_refused(px: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--focal-length-y .* px: expected a number over 0"):
        PointJob(tmp_path, tmp_path, FX, px)


def test_the_nearest_metric_model_is_taken() -> None:
    names = {m: metric_model("vits", m).name for m in (10.0, 20.0, 80.0, 120.0)}
    assert names[10.0] == names[20.0] == "vits-metric-indoor"
    assert names[80.0] == names[120.0] == "vits-metric-outdoor"
    with pytest.raises(InputError, match="--encoder vitg: no metric model .*vitb, vitl, vits"):
        metric_model("vitg", 20.0)
    with pytest.raises(InputError, match="--max-depth 0 m: expected a number over 0"):
        metric_model("vits", 0.0)


def test_weights_of_a_relative_model_are_refused_by_their_name(tmp_path: Path) -> None:
    files = published_files()
    path = tmp_path / files["vits"].local_name
    with pytest.raises(InputError, match="the weights of vits, whose depth is relative"):
        check_metric(path)
    check_metric(tmp_path / files["vits-metric-indoor"].local_name)
    check_metric(tmp_path / "mine.pth")


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    path = photo(tmp_path / "in")
    weights = tmp_path / published_files()["vits"].local_name
    weights.write_bytes(b"")
    arguments = ("pointcloud", "--encoder", "vits", "--img-path", path)
    for more, text in (
        (("--load-from", weights), "relative and has no metres"),
        (("--load-from", tmp_path / "none.pth"), "none.pth: no such file"),
        (("--max-depth", -1), "--max-depth -1 m"),
        (("--focal-length-x", 0), "--focal-length-x 0 px"),
    ):
        found = ended(main, "main.py", *arguments, *more)
        assert (found.code in (1, 2), text in found.err) == (True, True), found.err


def test_the_middle_of_the_image_is_on_the_axis() -> None:
    found = points_of(np.full((4, 6), 3, np.float32), 10.0, 10.0).reshape(4, 6, 3)
    assert found[2, 3].tolist() == [0.0, 0.0, 3.0]
    assert found[0, 0].tolist() == pytest.approx([-0.9, -0.6, 3.0])
