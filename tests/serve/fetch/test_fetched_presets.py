"""Every preset through a job over stores and a fetch: the bytes are those of a folder job."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from depth.artifact.program import ProgramKey
from depth.maps.files import read_sidecar
from depth.presets.names import PRESET_NAMES
from depth.store.objects import ObjectStore
from serve.engine import Engine
from serve.jobs.entry import DONE, KEPT
from serve.jobs.objects.making import Making
from serve.jobs.objects.run import RunAsked
from serve.jobs.objects.shard import Shard
from tests.serve.folder.test_preset_jobs import engine_fixture, scene_fixture
from tests.serve.folder.test_schema import engine_of
from tests.serve.s3.conftest import Pair
from tests.support.fetches import differing, fetch, files_in, folder_job, job_of
from tests.support.manifests import METRIC_OUTPUTS, made_manifest, sky_manifest
from tests.support.object_jobs import MAKING, png, run

__all__ = ["engine_fixture", "scene_fixture"]

KEY = ProgramKey(56, 56, 1)
METRIC = made_manifest([KEY], outputs=METRIC_OUTPUTS)
SKY = sky_manifest([KEY])
IMAGES = ("1311868164.36.png", "cam 1/Ä.jpg", "cam 1/x.jpg", "cam 1/x.png")
TIMES = ("1311868164.36.png", "rgb/1311868164.40.png")
both = pytest.mark.parametrize("pair", ["folder", "s3"], indirect=True)


def put(store: ObjectStore, *keys: str) -> None:
    for index, key in enumerate(keys):
        store.write(key, png(index))


def of(preset: str, *formats: str, **more: object) -> Making:
    return replace(MAKING, formats=formats, preset=preset, **more)  # type: ignore[arg-type]


def check(pair: Pair, tmp_path: Path, making: Making, engine: Engine) -> dict[str, bytes]:
    """The fetched files, which are those of a folder job, and which a second fetch keeps."""
    folder = job_of(pair.source, pair.target, pair.url, making, engine)
    wanted = folder_job(pair.images, tmp_path / "folder", making, engine)
    out = tmp_path / "fetched"
    first = fetch(f"{pair.target}/{folder}", out, pair.url)
    assert set(first.fates.values()) == {DONE}, first.entries
    assert differing(files_in(out), wanted) == []
    again = fetch(f"{pair.target}/{folder}", out, pair.url)
    assert set(again.fates.values()) == {KEPT}
    assert (again.report.exit_code, differing(files_in(out), wanted)) == (0, [])
    return wanted


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_a_preset_is_fetched_as_a_folder_job_writes_it(
    pair: Pair, tmp_path: Path, preset: str
) -> None:
    put(pair.images, *IMAGES)
    with engine_of(METRIC) as engine:
        wanted = check(pair, tmp_path, of(preset), engine)
    beside = read_sidecar(tmp_path / "fetched/cam 1/x.png.json").preset
    assert beside is not None
    assert beside.name == preset
    assert set(beside.files) >= {"depth"}
    assert len(wanted) >= 2 * len(IMAGES)


@pytest.mark.parametrize("pair", ["s3"], indirect=True)
@pytest.mark.parametrize(
    ("preset", "names"),
    [
        ("iw3", {"iw3_export.yml", "rgb/iw3_export.yml", "rgb/depth/1311868164.40.png"}),
        ("nerfstudio", {"transforms_depth.json"}),
        ("tum", {"depth.txt"}),
        ("open3d", {"rgb/1311868164.40.open3d.json"}),
        ("sp3d", {"rgb/1311868164.40.depth.json"}),
        ("colmap", {"rgb/depth_maps/1311868164.40.png.geometric.bin"}),
    ],
)
def test_a_preset_is_fetched_from_a_bucket(
    pair: Pair, tmp_path: Path, preset: str, names: set[str]
) -> None:
    put(pair.images, *TIMES)
    with engine_of(METRIC) as engine:
        assert names <= set(check(pair, tmp_path, of(preset), engine))


@both
def test_formats_maps_and_previews_are_fetched_beside_a_preset(pair: Pair, tmp_path: Path) -> None:
    """An image takes the name of another image's map, so both keep their suffixes."""
    put(pair.images, "a.png", "a.sky.png", "b.png")
    with engine_of(SKY) as engine:
        wanted = check(pair, tmp_path, of("midas", "npz", "png", preview=True), engine)
    assert {"a.png.sky.npz", "a.sky.png.npz", "b.sky.png", "b.preview.jpg"} <= set(wanted)


def test_files_that_need_a_camera_come_where_they_are(pair: Pair, tmp_path: Path) -> None:
    put(pair.images, "a.png")
    with engine_of(METRIC) as engine:
        check(pair, tmp_path, of("ros"), engine)
        making = of("ros", focal_px=30.0)
        folder = job_of(pair.source, pair.target, making=making, engine=engine)
    assert set(files_in(tmp_path / "fetched")) == {"a.tiff", "a.json"}
    fetch(f"{pair.target}/{folder}", tmp_path / "camera")
    assert set(files_in(tmp_path / "camera")) == {"a.tiff", "a.yaml", "a.json"}


def test_the_fit_to_a_colmap_model_gives_the_parameters_of_3dgs(
    pair: Pair, scene: Path, engine: Engine
) -> None:
    for path in sorted((scene / "in").rglob("*.png")):
        pair.images.write(path.relative_to(scene / "in").as_posix(), path.read_bytes())
    wanted = check(pair, scene / "new", of("3dgs", fit=str(scene / "sparse")), engine)
    assert set(json.loads(wanted["depth_params.json"])) == {"a", "cam1/b"}


@both
def test_shards_fill_one_folder_and_one_summary(pair: Pair, tmp_path: Path) -> None:
    keys = [f"{index % 2}/{index:03}.png" for index in range(4)]
    put(pair.images, *keys)
    with engine_of(METRIC) as engine:
        for index in range(2):
            asked = RunAsked(Shard(index, 2))
            run(pair.source, pair.target, pair.url, asked, of("nerfstudio"), engine)
        again = run(pair.source, pair.target, pair.url, None, of("nerfstudio"), engine)
        wanted = folder_job(pair.images, tmp_path / "folder", of("nerfstudio"), engine)
    assert set(again.fates.values()) == {KEPT}
    assert fetch(pair.target, tmp_path / "fetched", pair.url).report.exit_code == 0
    assert differing(files_in(tmp_path / "fetched"), wanted) == []
    assert len(json.loads(wanted["transforms_depth.json"])["frames"]) == 4
