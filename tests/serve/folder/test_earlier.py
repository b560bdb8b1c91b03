"""Files of an earlier run, which a rerun leaves behind: `clean` knows them, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from depth.maps.files import write_result
from depth.presets.names import CUBE_FACES, TANGENT_VIEWS
from serve.folder.clean import clean
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST, Unlisted, manifest_in
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT
from serve.panoramas.asked import PanoramaAsked
from tests.serve.folder.test_clean import CHANGED
from tests.serve.folder.test_frames import run as run_film
from tests.serve.folder.test_presets import METRIC, files_in
from tests.serve.folder.test_schema import engine_of
from tests.support.depth_samples import ramp, result
from tests.support.folder_jobs import close_engines, make_engine
from tests.support.hostile import encoded, picture
from tests.support.videos import write_video


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output folder beside images, with files of others in it."""
    for name in ("a.png", "b/c.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(40, 50), "PNG"))
    (tmp_path / "out/b").mkdir(parents=True)
    (tmp_path / "out/b/mine.pfm").write_bytes(b"mine")
    (tmp_path / "out/a.exr").write_bytes(b"mine")
    return tmp_path / "out"


FOREIGN = {"b/mine.pfm", "a.exr"}


def run(out: Path, preset: str = "", **options: object) -> dict[str, int]:
    with engine_of(METRIC) as engine:
        job = FolderJob(out.parent / "in", out, preset=preset, **options)  # type: ignore[arg-type]
        return dict(run_folder(engine, job).counts)


def test_files_of_another_preset_go_and_those_of_others_stay(out: Path) -> None:
    assert run(out, "ros", formats=("npz",)) == {DONE: 2}
    assert run(out, "kitti") == {DONE: 2}
    before = files_in(out)
    assert {"a.tiff", "a.npz", "b/c.tiff"} <= before
    removed = {fate.name for fate in clean(out, dry_run=True) if not fate.left}
    assert removed == before - FOREIGN
    assert [fate for fate in clean(out) if fate.left] == []
    assert files_in(out) == FOREIGN


@pytest.mark.parametrize("then", ["", "iw3", "nerfstudio", "colmap"])
@pytest.mark.parametrize("first", ["", "iw3", "nerfstudio", "colmap"])
def test_every_order_of_presets_is_cleaned(out: Path, first: str, then: str) -> None:
    for preset in (first, then, first, then, then):
        run(out, preset)
    assert [fate for fate in clean(out) if fate.left] == []
    assert files_in(out) == FOREIGN


def test_other_formats_and_previews_are_cleaned(out: Path) -> None:
    run(out, formats=("png", "npy"), preview=True)
    run(out, formats=("npz",))
    assert "a.npy" in files_in(out)
    assert [fate for fate in clean(out) if fate.left] == []
    assert files_in(out) == FOREIGN


def test_cube_faces_are_cleaned_after_other_views(tmp_path: Path) -> None:
    write_video(tmp_path / "film.mp4", 1, sizes=((32, 64),))
    asked = PanoramaAsked("tangent10")
    for preset in (CUBE_FACES, TANGENT_VIEWS, ""):
        report, _ = run_film(tmp_path, asked=asked, preset=preset)
        assert report.counts == {DONE: 1}
    out = tmp_path / "out"
    assert {"film/cube/images/front/000000.jpg", "film/views/images/view0/000000.jpg"} < files_in(
        out
    )
    assert [fate for fate in clean(out) if fate.left] == []
    assert list(out.iterdir()) == []


def test_an_earlier_file_that_somebody_changed_stays_with_the_report(out: Path) -> None:
    run(out, "ros")
    run(out, "kitti")
    (out / "a.tiff").write_bytes(b"mine")
    assert [(fate.name, fate.left) for fate in clean(out) if fate.left] == [("a.tiff", CHANGED)]
    assert files_in(out) == {*FOREIGN, "a.tiff", MANIFEST}
    (out / "a.tiff").unlink()
    assert [fate.name for fate in clean(out)] == [MANIFEST]


def test_a_file_that_was_changed_before_the_rerun_stays(out: Path) -> None:
    run(out, "ros")
    (out / "a.tiff").write_bytes(b"mine")
    run(out, "kitti")
    assert [fate.name for fate in clean(out) if fate.left] == ["a.tiff"]


def test_a_summary_that_somebody_changed_stays(out: Path) -> None:
    run(out, "nerfstudio")
    run(out)
    (out / "transforms_depth.json").write_bytes(b"{}")
    assert [fate.name for fate in clean(out) if fate.left] == ["transforms_depth.json"]


def test_a_result_that_the_report_does_not_list_is_not_remembered(out: Path) -> None:
    """It is of somebody else, in the place of the result of the job."""
    write_result(result(ramp()), out / "a", ("npy",), {})
    run(out, "kitti")
    clean_names = {fate.name for fate in clean(out)}
    assert "a.npy" not in clean_names
    assert files_in(out) == {*FOREIGN, "a.npy"}


def test_a_job_that_was_killed_before_its_line_remembers(out: Path) -> None:
    run(out, "ros")
    run(out, "kitti")
    lines = (out / MANIFEST).read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b'"preset": "kitti' not in line]
    assert len(kept) == len(lines) - 2
    (out / MANIFEST).write_bytes(b"".join(kept))
    assert run(out, "kitti") == {KEPT: 2}
    assert [fate for fate in clean(out) if fate.left] == []
    assert files_in(out) == FOREIGN


def test_files_of_an_image_that_fails_later_are_cleaned(out: Path) -> None:
    try:
        job = FolderJob(out.parent / "in", out)
        assert run_folder(make_engine(), job).counts == {DONE: 2}
        other = FolderJob(out.parent / "in", out, formats=("npy",))
        assert run_folder(make_engine(fails_from=1), other).counts == {FAILED: 2}
        assert run_folder(make_engine(), job).counts == {KEPT: 2}
        assert run_folder(make_engine(fails_from=1), other).counts == {FAILED: 2}
    finally:
        close_engines()
    assert {"a.png", "a.json"} <= files_in(out)
    assert [fate for fate in clean(out) if fate.left] == []
    assert files_in(out) == FOREIGN


def test_a_rerun_that_replaces_every_file_adds_no_line(out: Path) -> None:
    run(out)
    run(out, remark="another")
    assert b"unlisted" not in (out / MANIFEST).read_bytes()


def test_the_last_line_of_a_name_counts_and_others_count_as_none(tmp_path: Path) -> None:
    first, last = Unlisted(1, "0" * 64), Unlisted(2, "1" * 64)
    with manifest_in(tmp_path, writable=True) as manifest:
        manifest.note_unlisted({"a": first, "b": first})
        manifest.note_unlisted({"a": last})
        assert manifest.unlisted() == {"a": last, "b": first}
    with (tmp_path / MANIFEST).open("a") as file:
        for odd in ({"a": {"size_bytes": "1"}}, {"a": 3}, []):
            file.write(json.dumps({"format": 2, "unlisted": odd}) + "\n")
    with manifest_in(tmp_path, writable=False) as manifest:
        assert manifest.unlisted() == {"a": last, "b": first}


def test_an_unlisted_file_cannot_lead_out(out: Path) -> None:
    away = out.parent / "away"
    away.write_bytes(b"x")
    run(out)
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    with manifest_in(out, writable=True) as manifest:
        manifest.note_unlisted({"../away": Unlisted(1, digest), "0": Unlisted(1, digest)})
    (out / "0").write_bytes(b"x")
    fates = {fate.name: fate.left for fate in clean(out)}
    assert (fates["../away"], fates["0"]) == ("it is outside the output folder", "")
    assert away.exists()
    assert not (out / "0").exists()
