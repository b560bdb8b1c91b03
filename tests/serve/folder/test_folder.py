"""The folder job on a small program: nothing lost, nothing half-written, nothing done twice."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from compile.specialise import specialise
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact
from depth.images.read import read_image
from depth.maps.files import read_depth
from depth.postprocess import resize_depth
from depth.preprocess import Preparation
from serve.__main__ import main
from serve.cli import app
from serve.engine import Engine
from serve.errors import NoImagesError
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT, Entry, Report
from serve.library import Library
from tests.support.commands import Ended, ended
from tests.support.folder_jobs import write_images
from tests.support.hostile import write_hostile_folder
from tests.support.networks import rewrite
from tests.support.programs import DEMO, make_artifact

RULE = replace(DEMO.size, side_px=56)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    out = tmp_path_factory.mktemp("artifacts")

    def build(sizes: Sequence[tuple[int, int]]) -> list[Artifact]:
        return [make_artifact(out, "torchscript", sizes=sizes)]

    with Engine(Library([], build=build), size_rule=RULE) as engine:
        yield engine


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    write_hostile_folder(folder / "sub")
    for name in ("one_pixel.png", "good.jpg"):
        shutil.move(folder / "sub" / name, folder / name)
    return folder


def entries(engine: Engine, job: FolderJob) -> tuple[Report, list[Entry]]:
    found: list[Entry] = []
    return run_folder(engine, job, lambda entry, _: found.append(entry)), found


def by_name(engine: Engine, job: FolderJob) -> dict[str, str]:
    return {entry.image: entry.status for entry in entries(engine, job)[1]}


def test_a_hostile_folder(engine: Engine, tmp_path: Path) -> None:
    expected = write_hostile_folder(tmp_path / "images")
    output = tmp_path / "out"
    report, found = entries(engine, FolderJob(tmp_path / "images", output, preview=True))
    assert report.exit_code == 3
    assert (report.counts[DONE], report.counts[FAILED], report.left) == (6, 5, 0)
    for entry in found:
        reason = expected.pop(entry.image)
        assert entry.status == (FAILED if reason else DONE), entry
        assert bool(reason) == bool(entry.reason)
        if reason:
            assert re.search(reason, entry.reason)
            assert entry.image in entry.reason or "px" in entry.reason
        else:
            assert read_depth(output / next(iter(entry.outputs))).depth.values.min() >= 0
    assert expected == {}
    lines = [json.loads(line) for line in (output / MANIFEST).read_text().splitlines()]
    assert [line["image"] for line in lines] == [entry.image for entry in found]
    written = {name for line in lines for name in line["outputs"]}
    there = {p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file()}
    assert there == written | {MANIFEST}, "nothing half-written is left"


def test_values_are_the_eager_network_s(engine: Engine, images: Path, tmp_path: Path) -> None:
    run_folder(engine, FolderJob(images, tmp_path / "out", formats=("npy",)))
    source = read_image(images / "good.jpg")
    height, width = source.pixels.shape[:2]
    size = engine.size_for(height, width)
    network = specialise(DEMO, untrained_checkpoint(DEMO), size)
    with torch.no_grad():
        raw = network(torch.from_numpy(Preparation(DEMO.before, RULE)(source.pixels, size)))[
            0
        ].numpy()
    found = np.load(tmp_path / "out" / "good.npy")
    expected = resize_depth(raw, (height, width))
    assert np.abs(found - expected).max() <= 1e-4 * expected.max()


def test_folders_are_kept_and_names_do_not_collide(
    engine: Engine, images: Path, tmp_path: Path
) -> None:
    shutil.copy(images / "sub" / "good.png", images / "good.png")
    out = tmp_path / "out"
    _, found = entries(engine, FolderJob(images, out))
    outputs = {entry.image: entry.outputs for entry in found if entry.status == DONE}
    assert list(outputs["good.jpg"]) == ["good.jpg.png", "good.jpg.json"]
    assert list(outputs["good.png"]) == ["good.png.png", "good.png.json"]
    assert list(outputs["sub/cmyk.jpg"]) == ["sub/cmyk.png", "sub/cmyk.json"]


def test_a_rerun_keeps_what_is_complete(engine: Engine, images: Path, tmp_path: Path) -> None:
    job = FolderJob(images, tmp_path / "out", formats=("png", "npy"))
    first = by_name(engine, job)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.npy")}
    second = by_name(engine, job)
    assert second == {name: KEPT if was == DONE else was for name, was in first.items()}
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_other_weights_make_everything_again(engine: Engine, images: Path, tmp_path: Path) -> None:
    job = FolderJob(images, tmp_path / "out")
    run_folder(engine, job)

    def build(sizes: Sequence[tuple[int, int]]) -> list[Artifact]:
        """The same programs under the name of other weights."""
        made = make_artifact(tmp_path / "other", "torchscript", sizes=sizes)
        return [rewrite(made, checkpoint=replace(made.manifest.checkpoint, sha256="0" * 64))]

    with Engine(Library([], build=build), size_rule=RULE) as other:
        assert other.library is not engine.library
        assert KEPT not in by_name(other, job).values()


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
    with pytest.raises(NoImagesError, match="--input"):
        run_folder(engine, FolderJob(tmp_path, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_command_s_options_reach_the_job(tmp_path: Path) -> None:
    artifact = str(make_artifact(tmp_path / "artifacts").folder)
    write_images(tmp_path / "in", 4)
    (tmp_path / "in/0/0000.png").write_bytes(b"")
    out = tmp_path / "out"

    def folder(*options: str) -> tuple[int, str]:
        command = ["folder", artifact, "--input", str(tmp_path / "in"), "--output", str(out)]
        done = CliRunner().invoke(app, [*command, *options])
        return done.exit_code, done.output

    code, said = folder("--dry-run")
    assert (code, said.count("to do: "), out.exists()) == (3, 3, False)
    assert "3 to do, 1 failed" in said
    code, said = folder("--fail-fast")
    assert code == 3
    assert "left after a failure" in said
    assert folder()[0] == 3
    (tmp_path / "in/0/0000.png").unlink()
    code, said = folder("--keep-failed")
    assert (code, said.count("already there")) == (0, 1)


def test_an_artifact_of_another_identity_is_not_served(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "artifacts")
    write_images(tmp_path / "in", 1)
    paths = ["--input", tmp_path / "in", "--output", tmp_path / "out", "--dry-run"]

    def folder(*identities: str) -> Ended:
        options = [word for each in identities for word in ("--identity", each)]
        return ended(main, "python -m serve", "folder", artifact.folder, *paths, *options)

    assert folder(artifact.identity).code == 0
    refused = folder("0" * 12)
    assert refused.code == 1
    assert "the given identity says 000000000000...; the manifest was altered" in refused.line()
    refused = folder(artifact.identity, artifact.identity)
    assert refused.code == 2
    assert "--identity: 2 given for 1 artifacts; give one for each" in refused.line()
    path = artifact.folder / "manifest.json"
    path.write_text(path.read_text().replace('"passed": true', '"passed": false'))
    refused = folder()
    assert refused.code == 1
    assert f"the folder's name {artifact.folder.name} says" in refused.line()


def test_exact_is_the_size_that_the_artifact_s_model_is_made_for(tmp_path: Path) -> None:
    artifact = str(make_artifact(tmp_path / "artifacts").folder)
    write_images(tmp_path / "in", 1)
    command = ["folder", artifact, "--input", str(tmp_path / "in"), "--output", str(tmp_path)]
    done = CliRunner().invoke(app, [*command, "--policy", "exact", "--dry-run"])
    height, width = DEMO.size.size_for(20, 30)
    assert DEMO.size.side_px != 518
    assert f"its program {height}x{width} is not made yet" in done.output
