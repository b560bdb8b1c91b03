"""The folder job on a small program: nothing lost, nothing half-written, nothing done twice."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from compile.specialise import specialise
from depth_anything_v2.artifact import Artifact
from depth_anything_v2.image import read_image
from depth_anything_v2.postprocess import resize_depth
from depth_anything_v2.preprocess import prepare
from depth_anything_v2.untrained import untrained_checkpoint
from serve.batch import DONE, FAILED, KEPT, Report
from serve.depth_files import read_depth
from serve.engine import Engine
from serve.errors import NoImages
from serve.folder import REPORT, FolderJob, run_folder
from serve.library import Library
from tests.hostile import write_hostile_folder
from tests.programs import DEMO, make_artifact

SHORT_SIDE_PX = 56


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    out = tmp_path_factory.mktemp("artifacts")

    def build(sizes: Sequence[tuple[int, int]]) -> list[Artifact]:
        return [make_artifact(out, sizes=sizes)]

    return Engine(Library([], build=build, streams=2), short_side_px=SHORT_SIDE_PX)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    write_hostile_folder(folder / "sub")
    for name in ("one_pixel.png", "good.jpg"):
        shutil.move(folder / "sub" / name, folder / name)
    return folder


def by_name(report: Report) -> dict[str, str]:
    return {entry.image: entry.status for entry in report.entries}


def test_a_hostile_folder(engine: Engine, tmp_path: Path) -> None:
    expected = write_hostile_folder(tmp_path / "images")
    output = tmp_path / "out"
    report = run_folder(engine, FolderJob(tmp_path / "images", output, preview=True))
    assert report.exit_code == 3
    for entry in report.entries:
        reason = expected.pop(entry.image)
        assert entry.status == (FAILED if reason else DONE), entry
        assert bool(reason) == bool(entry.reason)
        if reason:
            assert re.search(reason, entry.reason)
            assert entry.image in entry.reason or "px" in entry.reason
        else:
            assert read_depth(entry.outputs[0]).values.min() >= 0
    assert expected == {}
    lines = [json.loads(line) for line in (output / REPORT).read_text().splitlines()]
    assert [line["image"] for line in lines] == sorted(e.image for e in report.entries)
    written = {name for line in lines for name in line["outputs"]}
    there = {p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file()}
    assert there == written | {REPORT}, "nothing half-written is left"


def test_values_are_the_eager_network_s(engine: Engine, images: Path, tmp_path: Path) -> None:
    run_folder(engine, FolderJob(images, tmp_path / "out", formats=("npy",)))
    source = read_image(images / "good.jpg")
    height, width = source.pixels.shape[:2]
    size = engine.size_for(height, width)
    network = specialise(DEMO, untrained_checkpoint(DEMO), size)
    with torch.no_grad():
        raw = network(torch.from_numpy(prepare(source.pixels, size)))[0].numpy()
    found = np.load(tmp_path / "out" / "good.npy")
    expected = resize_depth(raw, (height, width))
    assert np.abs(found - expected).max() <= 1e-4 * expected.max()


def test_folders_are_kept_and_names_do_not_collide(
    engine: Engine, images: Path, tmp_path: Path
) -> None:
    shutil.copy(images / "sub" / "good.png", images / "good.png")
    report = run_folder(engine, FolderJob(images, tmp_path / "out"))
    out = tmp_path / "out"
    outputs = {entry.image: entry.outputs for entry in report.entries if entry.status == DONE}
    assert outputs["good.jpg"] == (str(out / "good.jpg.png"), str(out / "good.jpg.json"))
    assert outputs["good.png"] == (str(out / "good.png.png"), str(out / "good.png.json"))
    assert outputs["sub/cmyk.jpg"] == (str(out / "sub/cmyk.png"), str(out / "sub/cmyk.json"))


def test_a_rerun_keeps_what_is_complete(engine: Engine, images: Path, tmp_path: Path) -> None:
    job = FolderJob(images, tmp_path / "out", formats=("png", "npy"))
    first = by_name(run_folder(engine, job))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.npy")}
    second = by_name(run_folder(engine, job))
    assert second == {name: KEPT if was == DONE else was for name, was in first.items()}
    assert before == {p: p.stat().st_mtime_ns for p in before}


@pytest.mark.parametrize("change", ["no json", "short file", "no file", "new image", "new format"])
def test_a_rerun_makes_again_what_is_not(
    engine: Engine, images: Path, tmp_path: Path, change: str
) -> None:
    output = tmp_path / "out"
    run_folder(engine, FolderJob(images, output))
    job = FolderJob(images, output, formats=("png", "npy") if change == "new format" else ("png",))
    if change == "no json":
        (output / "good.json").unlink()
    elif change == "short file":
        (output / "good.png").write_bytes(b"short")
    elif change == "no file":
        (output / "good.png").unlink()
    elif change == "new image":
        shutil.copy(images / "sub" / "cmyk.jpg", images / "good.jpg")
    assert by_name(run_folder(engine, job))["good.jpg"] == DONE
    assert read_depth(output / "good.png").values.shape == (70, 98)


def test_other_weights_make_everything_again(engine: Engine, images: Path, tmp_path: Path) -> None:
    job = FolderJob(images, tmp_path / "out")
    run_folder(engine, job)
    library = Library(
        [], build=lambda sizes: [make_artifact(tmp_path / "other", sizes=sizes, seed=1)]
    )
    report = run_folder(Engine(library, short_side_px=SHORT_SIDE_PX), job)
    assert KEPT not in by_name(report).values()


def test_the_remark_is_in_every_result(engine: Engine, images: Path, tmp_path: Path) -> None:
    run_folder(engine, FolderJob(images, tmp_path / "out", remark="random weights"))
    for path in (tmp_path / "out").rglob("*.json"):
        meta = json.loads(path.read_text())
        assert "random weights" in meta["source"]["notes"]
        assert meta["provenance"]["trained"] is False
        assert meta["provenance"]["weights"] == "untrained"


def test_only_broken_images(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"")
    report = run_folder(engine, FolderJob(tmp_path, tmp_path / "out"))
    assert report.exit_code == 1


def test_an_empty_folder(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(NoImages, match="--input"):
        run_folder(engine, FolderJob(tmp_path, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
