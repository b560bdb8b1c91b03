"""Presets in folder jobs: refused before work, kept, redone with another preset, cleaned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from depth.artifact.program import ProgramKey
from depth.errors import InputError
from depth.maps.files import read_sidecar
from serve.folder.clean import clean
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, KEPT
from tests.serve.folder.test_schema import engine_of
from tests.support.hostile import encoded, picture
from tests.support.manifests import METRIC_OUTPUTS, RELATIVE_OUTPUTS, made_manifest

KEY = ProgramKey(56, 56, 1)
METRIC = made_manifest([KEY], outputs=METRIC_OUTPUTS)
RELATIVE = made_manifest([KEY], outputs=RELATIVE_OUTPUTS)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("a.png", "b/c.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(40, 50), "PNG"))
    return tmp_path / "in"


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_preset_that_the_model_cannot_meet_is_refused_before_work(images: Path) -> None:
    out = images.parent / "out"
    with engine_of(RELATIVE) as engine, pytest.raises(InputError, match="--fit"):
        run_folder(engine, FolderJob(images, out, preset="kitti"))
    assert not out.exists()


@pytest.mark.parametrize("name", ["iw3", "kitti", "nerfstudio", "open3d", "colmap", "sp3d"])
def test_a_preset_is_kept_and_cleaned(images: Path, name: str) -> None:
    out = images.parent / "out"
    with engine_of(METRIC) as engine:
        job = FolderJob(images, out, preset=name)
        assert run_folder(engine, job).counts == {DONE: 2}
        assert run_folder(engine, job).counts == {KEPT: 2}
        whole = {"a.png.json", "b/c.png.json"} if name == "colmap" else {"a.json", "b/c.json"}
        assert whole <= files_in(out)
        listed = read_sidecar(out / min(whole)).preset
        assert listed is not None
        (out / listed.files["depth"].name).write_bytes(b"altered")
        assert run_folder(engine, job).counts == {DONE: 1, KEPT: 1}
        assert run_folder(engine, FolderJob(images, out, preset="midas")).counts == {DONE: 2}
        fate = KEPT if name == "colmap" else DONE  # its .json has a name of its own
        assert run_folder(engine, job).counts == {fate: 2}
    left = [fate for fate in clean(out) if fate.left]
    assert not left
    assert files_in(out) == set()


def test_nerfstudio_gets_the_paths_of_its_frames(images: Path) -> None:
    out = images.parent / "out"
    with engine_of(METRIC) as engine:
        run_folder(engine, FolderJob(images, out, preset="nerfstudio", formats=["npz"]))
    said = json.loads((out / "transforms_depth.json").read_text())
    assert said["depth_unit_scale_factor"] == 0.001
    assert said["frames"][1] == {"file_path": "b/c.png", "depth_file_path": "b/c.png"}
    assert (out / "b/c.npz").is_file()


def test_a_format_with_the_name_of_the_presets_file_is_refused(images: Path) -> None:
    with engine_of(METRIC) as engine, pytest.raises(InputError, match="npz"):
        run_folder(
            engine, FolderJob(images, images.parent / "out", preset="kitti", formats=["png"])
        )
