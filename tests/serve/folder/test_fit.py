"""Folder jobs whose depth is moved onto measured depth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from depth.errors import InputError
from depth.fitting.fitter import Fitter, fitter_of
from depth.fitting.points import read_points
from depth.maps.files import read_depth
from depth.maps.schema import schema_named
from serve.engine import Engine
from serve.folder.index import write_index
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT, TODO, Entry, Report
from serve.jobs.screen import closing
from tests.support.folder_jobs import close_engines, make_engine, write_images

SCALE, SHIFT = 0.02, 0.07  # from the network's values to inverse depth
NAMES = ["0/0000.png", "0/0002.png", "1/0001.png"]


@pytest.fixture(name="engine")
def engine_fixture() -> Iterator[Engine]:
    yield make_engine()
    close_engines()


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path, engine: Engine) -> Path:
    """Images, and points of what the network gives of them; a fifth of the points is wrong."""
    write_images(tmp_path / "in", 3)
    run(engine, tmp_path, None, output="plain")
    rng = np.random.default_rng(0)
    lines = ["x_px,y_px,depth_m,image"]
    for name in NAMES:
        values = read_depth((tmp_path / "plain" / name).with_suffix(".json")).depth.values
        for _ in range(300):
            y, x = (int(rng.integers(0, side)) for side in values.shape)
            depth = 1 / (SCALE * float(values[y, x]) + SHIFT) * (1 + 0.01 * rng.standard_normal())
            depth = depth if rng.random() > 0.2 else rng.uniform(0.5, 20)
            lines.append(f"{x},{y},{depth:.5f},{name}")
    (tmp_path / "points.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(
    engine: Engine, folder: Path, fit: Fitter | None, output: str = "out", **options: Any
) -> tuple[dict[str, Entry], Report]:
    found: dict[str, Entry] = {}
    job = FolderJob(folder / "in", folder / output, fit=fit, **options)
    report = run_folder(engine, job, lambda entry, _: found.update({entry.image: entry}))
    return found, report


def statuses(found: dict[str, Entry]) -> list[str]:
    return [found[name].status for name in sorted(found)]


def sidecar(folder: Path, name: str) -> Any:
    return json.loads((folder / "out" / name).with_suffix(".json").read_text())


def test_depth_is_in_metres_and_every_file_says_how(engine: Engine, folder: Path) -> None:
    found, report = run(engine, folder, fitter_of(folder / "points.csv"), formats=("npy", "png"))
    assert statuses(found) == [DONE] * 3
    for name in NAMES:
        meta = sidecar(folder, name)
        Draft202012Validator(schema_named("result")).validate(meta)
        assert (meta["maps"]["depth"]["kind"], meta["maps"]["depth"]["unit"]) == ("metres", "m")
        assert meta["fit"]["scale"] == pytest.approx(SCALE, rel=0.01)
        assert meta["fit"]["shift"] == pytest.approx(SHIFT, rel=0.02)
        assert (meta["fit"]["source"], meta["fit"]["points"]) == ("points", 300)
        stored = read_depth((folder / "out" / name).with_suffix(".png"))
        assert stored.fit is not None
        assert stored.fit.scale == meta["fit"]["scale"]
        plain = read_depth((folder / "plain" / name).with_suffix(".json")).depth.values
        assert stored.depth.values == pytest.approx(1 / (SCALE * plain + SHIFT), rel=0.02)
    for line in map(json.loads, (folder / "out" / MANIFEST).read_text().splitlines()):
        Draft202012Validator(schema_named("report")).validate(line)
        assert line["fit"]["inliers"] > 200
        assert line["settings"]["fit"]["sha256"] == line["fit"]["sha256"]
    page = write_index(folder / "out").read_text()
    assert page.count("fit: ") == 3
    assert "of 300 points agree, median error" in page
    worst = max(found.values(), key=lambda entry: entry.fit.median_share if entry.fit else 0)
    line = closing(report, 1.0)
    assert f"3 fitted to measured depth, worst {worst.image} with a median error of" in line


def test_a_rerun_redoes_what_has_other_points_or_another_fit(engine: Engine, folder: Path) -> None:
    path = folder / "points.csv"
    run(engine, folder, fitter_of(path))
    found, report = run(engine, folder, fitter_of(path))
    assert statuses(found) == [KEPT] * 3
    assert report.fits
    path.write_text(path.read_text() + f"1,2,3.5,{NAMES[1]}\n")
    found, _ = run(engine, folder, fitter_of(path), dry_run=True)
    assert statuses(found) == [KEPT, TODO, KEPT]
    assert found[NAMES[1]].reason == "made with other measured depth, or another way to fit it"
    found, _ = run(engine, folder, fitter_of(path))
    assert statuses(found) == [KEPT, DONE, KEPT]
    found, _ = run(engine, folder, fitter_of(path, "scale_shift"), dry_run=True)
    assert statuses(found) == [TODO] * 3
    found, _ = run(engine, folder, None, dry_run=True)
    assert statuses(found) == [TODO] * 3


def test_an_image_whose_fit_is_refused_fails_and_nothing_is_written(
    engine: Engine, folder: Path
) -> None:
    path = folder / "points.csv"
    lines = path.read_text().splitlines()
    few = [line for line in lines if NAMES[0] in line][:5]
    path.write_text("\n".join([lines[0], *few, *(line for line in lines if NAMES[2] in line)]))
    found, report = run(engine, folder, fitter_of(path))
    assert statuses(found) == [FAILED, FAILED, DONE]
    assert report.exit_code == 3
    assert "5 points: a fit by scale_shift needs at least 8" in found[NAMES[0]].reason
    assert f"no entry for {NAMES[1]}" in found[NAMES[1]].reason
    assert sorted(each.name for each in (folder / "out").rglob("*.*")) == [
        "0001.json",
        "0001.png",
        MANIFEST,
    ]
    path.write_text("\n".join(lines))
    found, _ = run(engine, folder, fitter_of(path), retry_failed=False)
    assert statuses(found) == [DONE, DONE, KEPT], "other points are another try"


def test_a_reference_of_other_images_stops_the_job(engine: Engine, folder: Path) -> None:
    path = folder / "points.csv"
    path.write_text("x_px,y_px,depth_m,image\n1,2,3,other.jpg\n")
    with pytest.raises(InputError, match=r"no entry for 0/0000\.png: it names other\.jpg"):
        run(engine, folder, fitter_of(path))
    path.write_text("x_px,y_px,depth_m\n1,2,3\n")
    with pytest.raises(InputError, match="no column 'image', and there are 3 images"):
        run(engine, folder, fitter_of(path))
    assert not (folder / "out").exists()


def test_3dgs_gets_inverse_depth_in_the_unit_of_the_model(engine: Engine, folder: Path) -> None:
    points = read_points(folder / "points.csv")
    fit = Fitter(replace(points, source="colmap", metric=False))
    run(engine, folder, fit, formats=("npy",), preset="3dgs")
    found = json.loads((folder / "out" / "depth_params.json").read_text())
    assert set(found) == {name[:-4] for name in NAMES}
    for name in NAMES:
        meta = sidecar(folder, name)
        assert (meta["maps"]["depth"]["kind"], meta["fit"]["unit"]) == ("scene_units", None)
        depth = read_depth((folder / "out" / name).with_suffix(".json")).depth.values
        codes = cv2.imread(str(folder / "out" / name), cv2.IMREAD_UNCHANGED) / 65536
        inverse = codes * found[name[:-4]]["scale"] + found[name[:-4]]["offset"]
        assert inverse * depth == pytest.approx(1, rel=1e-3)
