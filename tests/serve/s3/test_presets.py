"""Presets in jobs over stores: refused before work, published, kept, other settings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from depth.artifact.program import ProgramKey
from depth.errors import InputError
from depth.maps.meta import parse_sidecar
from serve.cli import app
from serve.jobs.entry import DONE, KEPT
from serve.jobs.objects.making import Making
from serve.jobs.objects.run import RunAsked
from tests.serve.folder.test_schema import engine_of
from tests.serve.s3.conftest import Pair
from tests.support.manifests import METRIC_OUTPUTS, RELATIVE_OUTPUTS, made_manifest
from tests.support.object_jobs import MAKING, data, left, put_images, run

KEY = ProgramKey(56, 56, 1)
METRIC = made_manifest([KEY], outputs=METRIC_OUTPUTS)
RELATIVE = made_manifest([KEY], outputs=RELATIVE_OUTPUTS)
both = pytest.mark.parametrize("pair", ["folder", "s3"], indirect=True)


def of(preset: str, *formats: str, **more: object) -> Making:
    return replace(MAKING, formats=formats, preset=preset, **more)  # type: ignore[arg-type]


@both
def test_the_files_of_a_preset_are_published_and_kept(pair: Pair) -> None:
    put_images(pair.images, 2)
    with engine_of(METRIC) as engine:
        ran = run(pair.source, pair.target, pair.url, making=of("open3d"), engine=engine)
        assert set(ran.fates.values()) == {DONE}, ran.entries
        again = run(pair.source, pair.target, pair.url, making=of("open3d"), engine=engine)
        verify = RunAsked(verify=True)
        whole = run(pair.source, pair.target, pair.url, verify, of("open3d"), engine)
    assert set(again.fates.values()) == set(whole.fates.values()) == {KEPT}
    picture, facts, beside = again.entries["0/0000.png"].outputs
    assert (facts, beside) == (picture[:-4] + ".open3d.json", picture[:-4] + ".json")
    codes = cv2.imdecode(np.frombuffer(data(pair.results, picture), np.uint8), -1)
    assert (codes.dtype, codes.shape) == (np.uint16, (20, 30))
    assert json.loads(data(pair.results, facts))["depth_scale"] == 1000.0
    listed = parse_sidecar(data(pair.results, beside)).preset
    assert listed is not None
    assert listed.name == "open3d"
    assert listed.files["depth"].name == picture.rpartition("/")[2]
    settings = json.loads(data(pair.results, f"{beside.split('/')[0]}/settings.json"))
    assert (settings["preset"], settings["formats"]) == ("open3d", [])


def test_a_damaged_file_of_a_preset_is_made_again(pair: Pair) -> None:
    put_images(pair.images, 1)
    with engine_of(METRIC) as engine:
        ran = run(pair.source, pair.target, pair.url, making=of("nyu"), engine=engine)
        picture = next(iter(ran.entries["0/0000.png"].outputs))
        pair.results.write(picture, b"altered")
        verify = RunAsked(verify=True)
        again = run(pair.source, pair.target, pair.url, verify, of("nyu"), engine)
    assert again.fates == {"0/0000.png": DONE}
    assert picture not in again.entries["0/0000.png"].outputs


def test_another_preset_or_camera_has_its_own_folder(pair: Pair) -> None:
    put_images(pair.images, 1)
    makings = (of("ros"), of("ros", focal_px=30.0), of("kitti"), of("kitti", "npz"), of("", "png"))
    with engine_of(METRIC) as engine:
        for making in makings:
            ran = run(pair.source, pair.target, pair.url, making=making, engine=engine)
            assert ran.fates == {"0/0000.png": DONE}, ran.entries
    there = left(pair.results)
    assert len({key.split("/")[0] for key in there.images["0/0000.png"]}) == len(makings)
    assert sum(key.endswith(".yaml") for key in (each.key for each in pair.results.listed(""))) == 1


@pytest.mark.parametrize(
    ("preset", "formats", "reason"),
    [
        ("kitti", (), "--fit"),
        ("nerfstudio", (), "no metres"),
        ("3dgs", (), "depth_params.json is for all images"),
        ("iw3", (), "iw3_export.yml is for all images"),
        ("comfyui", ("npy",), "npy"),
        ("nobody", (), "expected one of"),
        ("", (), "format"),
    ],
)
def test_what_the_job_cannot_meet_is_refused(
    preset: str, formats: tuple[str, ...], reason: str
) -> None:
    with engine_of(RELATIVE) as engine, pytest.raises(InputError, match=reason):
        of(preset, *formats).made(engine.library)


def test_metric_depth_does_not_lift_what_a_job_over_stores_lacks() -> None:
    with engine_of(METRIC) as engine:
        for name in ("tum", "nerfstudio"):
            with pytest.raises(InputError, match="`serve folder --preset`"):
                of(name).made(engine.library)
        with pytest.raises(InputError, match="names in depth_maps/, and keys of a store"):
            of("colmap").made(engine.library)


@pytest.mark.parametrize("command", ["s3", "ray"])
def test_the_commands_refuse_before_anything_is_written(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Making] = []
    with engine_of(RELATIVE) as engine:

        def library(making: Making) -> object:
            seen.append(making)
            return engine.library

        monkeypatch.setattr(Making, "library", library)
        places = ["s3://in/a", "s3://out/a"] if command == "s3" else [str(tmp_path)] * 2
        asked = [command, *places, "--artifact", "x", "--preset", "nyu", "--format", "npz"]
        found = CliRunner().invoke(app, asked)
    assert "preset nyu: holds metres" in str(found.exception)
    assert (seen[0].preset, seen[0].formats) == ("nyu", ("npz",))
    assert list(tmp_path.iterdir()) == []


def test_the_commands_take_png_without_a_preset_and_no_format_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Making] = []
    with engine_of(RELATIVE) as engine:
        monkeypatch.setattr(Making, "library", lambda made: seen.append(made) or engine.library)
        monkeypatch.setattr(Making, "made", lambda *_: 1 / 0)
        for more in ([], ["--preset", "midas"]):
            CliRunner().invoke(app, ["s3", "s3://in/a", "s3://out/a", "--artifact", "x", *more])
    assert [making.formats for making in seen] == [("png",), ()]
