"""Presets through whole jobs: killed and run again, and 3dgs in the unit of a COLMAP model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.fitting.fitter import fitter_of
from depth.maps.files import read_depth
from depth.maps.result import FloatArray
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from tests.support.folder_jobs import close_engines, make_engine, write_images
from tests.support.folder_kills import Toll, complete, look, outputs
from tests.support.processes import start

SCALE, SHIFT = 0.02, 0.07  # from the network's values to inverse depth in the model's unit
SIDES = (24, 30)  # (height, width) px of the images of the COLMAP model
NAMES = ("a.png", "cam1/b.png")


@pytest.fixture(name="engine")
def engine_fixture() -> Iterator[Engine]:
    yield make_engine()
    close_engines()


def test_killed_jobs_with_a_preset_leave_nothing_half(tmp_path: Path) -> None:
    """iw3 has four files for each image, of which images of a folder share one."""
    job = start(tmp_path, "-m", "tests.support.folder_kills", tmp_path, 20, 4, "iw3")
    assert job.wait(timeout=120) == 0, (tmp_path / "stderr").read_text()
    toll = json.loads((tmp_path / "stdout").read_text())
    assert (toll["right"], toll["recorded"]) == (20, 20)
    assert (toll["wrong"], toll["recomputed"]) == (0, 0)
    assert toll["kills"] >= 4
    assert not list((tmp_path / "out").rglob("*.tmp")), "the last run clears what kills left"


def test_the_toll_counts_a_wrong_file_of_a_preset(tmp_path: Path, engine: Engine) -> None:
    """The failing side of the test above."""
    write_images(tmp_path / "in", 2)
    out, toll = tmp_path / "out", Toll(2)
    run_folder(engine, FolderJob(tmp_path / "in", out, preset="iw3"))
    right, before = outputs(out), complete(out)
    look(out, right, before, toll)
    assert toll.wrong == 0
    (out / "0/rgb/0000.png").write_bytes(b"half")
    look(out, right, before, toll)
    assert toll.wrong == 1


@pytest.fixture(name="scene")
def scene_fixture(tmp_path: Path, engine: Engine) -> Path:
    """Images, and a COLMAP model with noisy points of what the network sees in them."""
    for seed, name in enumerate(NAMES):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.random.default_rng(seed).integers(0, 255, (3, 4, 3)).astype(np.uint8)
        cv2.imwrite(str(path), cv2.resize(picture, SIDES[::-1], interpolation=cv2.INTER_CUBIC))
    run_folder(engine, FolderJob(tmp_path / "in", tmp_path / "plain"))
    write_model(tmp_path / "sparse", tmp_path / "plain")
    return tmp_path


def network_values(folder: Path, name: str) -> FloatArray:
    return read_depth((folder / name).with_suffix(".json")).depth.values


def write_model(folder: Path, plain: Path) -> None:
    """Text: a pinhole camera without rotation; the images stand far from each other."""
    (height, width), focal = SIDES, 40.0
    folder.mkdir()
    camera = f"1 PINHOLE {width} {height} {focal} {focal} {width / 2} {height / 2}\n"
    (folder / "cameras.txt").write_text(camera)
    rng = np.random.default_rng(0)
    images, points = [], []
    for number, name in enumerate(NAMES, 1):
        images += [f"{number} 1 0 0 0 {1000.0 * number} 0 0 1 {name}", ""]
        values = network_values(plain, name)
        for _ in range(200):
            row, column = int(rng.integers(0, height)), int(rng.integers(0, width))
            z = 1 / (SCALE * float(values[row, column]) + SHIFT)
            z *= 1 + 0.01 * rng.standard_normal()
            x, y = ((column + 0.5 - width / 2) / focal * z, (row + 0.5 - height / 2) / focal * z)
            place = f"{x - 1000.0 * number!r} {y!r} {z!r}"
            points.append(f"{len(points) + 1} {place} 9 9 9 0.5 {number} 0")
    (folder / "images.txt").write_text("\n".join(images) + "\n")
    (folder / "points3D.txt").write_text("\n".join(points) + "\n")


def read_by_3dgs(depths: Path, name: str) -> FloatArray:
    """As graphdeco's scene/dataset_readers.py names it, and its camera code computes it."""
    known = name[: -len(name.split(".")[-1]) - 1]
    parameters = json.loads((depths / "depth_params.json").read_text())[known]
    codes = cv2.imread(str(depths / f"{known}.png"), -1)
    inverse = codes.astype(np.float32) / float(2**16)
    read: FloatArray = inverse * parameters["scale"] + parameters["offset"]
    return read


def test_3dgs_reads_the_inverse_depth_of_the_colmap_model(scene: Path, engine: Engine) -> None:
    out = scene / "out"
    fit = fitter_of(scene / "sparse")
    report = run_folder(engine, FolderJob(scene / "in", out, fit=fit, preset="3dgs"))
    assert report.exit_code == 0
    assert set(json.loads((out / "depth_params.json").read_text())) == {"a", "cam1/b"}
    for name in NAMES:
        said = json.loads((out / name).with_suffix(".json").read_text())["fit"]
        plain = network_values(scene / "plain", name)
        read = read_by_3dgs(out, name)
        fitted = said["scale"] * plain + said["shift"]
        assert np.abs(read - fitted).max() < 1.01 * np.ptp(fitted) / 65535, "within a code"
        assert read == pytest.approx(SCALE * plain + SHIFT, rel=0.01), "within the fit's error"


def test_3dgs_without_a_fit_has_no_parameters(
    scene: Path, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    run_folder(engine, FolderJob(scene / "in", scene / "out", preset="3dgs"))
    assert not (scene / "out/depth_params.json").exists()
    assert "make_depth_scale.py" in caplog.text
