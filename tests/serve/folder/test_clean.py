"""What `clean` removes from an output folder, and what it never touches."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from depth.command import guarded
from depth.errors import InputError
from depth.maps.files import write_result
from depth_anything.commands import app
from serve.errors import ManifestError, ServeError
from serve.folder.clean import clean
from serve.folder.cli import run
from serve.folder.manifest import MANIFEST, manifest_in
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, Entry
from serve.jobs.stop import Stop
from serve.jobs.under_way import UNDER_WAY
from tests.support.commands import ended
from tests.support.depth_samples import ramp, result
from tests.support.folder_jobs import make_engine, write_images

CHANGED = "it is not as the report and its .json say"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The output folder of a finished job, with the file that git keeps in it."""
    write_images(tmp_path / "images", 4)
    made = tmp_path / "out"
    made.mkdir()
    (made / ".gitkeep").touch()
    job = FolderJob(tmp_path / "images", made, formats=("png", "npy"), preview=True)
    assert run(make_engine(), job, Stop()) == 0
    return made


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def cleaned(folder: Path, dry_run: bool = False) -> tuple[set[str], dict[str, str]]:
    """What was removed, and what was left for which reason."""
    fates = list(clean(folder, dry_run))
    removed = [fate.name for fate in fates if not fate.left]
    assert len(set(removed)) == len(removed)
    return set(removed), {fate.name: fate.left for fate in fates if fate.left}


def test_everything_that_the_job_wrote_goes(out: Path) -> None:
    before = files(out) - {".gitkeep"}
    assert len(before) == 4 * 4 + 2
    assert cleaned(out, dry_run=True) == (before, {})
    assert files(out) == before | {".gitkeep"}, "a dry run removes nothing"
    assert cleaned(out) == (before, {})
    assert [path.name for path in out.iterdir()] == [".gitkeep"], "folders that are empty go too"
    assert cleaned(out) == (set(), {}), "without a report there is nothing to go by"


def test_the_names_that_a_killed_job_left_go_with_the_report(out: Path) -> None:
    names = '{"format": 1, "under_way": ["a.jpg"], "suspects": []}\n'
    (out / UNDER_WAY).write_text(names)
    removed, left = cleaned(out)
    assert {UNDER_WAY, MANIFEST} <= removed
    assert not left
    assert [path.name for path in out.iterdir()] == [".gitkeep"]


@pytest.mark.parametrize("text", ["mine", "{}", "[]", ""])
def test_another_file_in_the_place_of_the_names_stays(out: Path, text: str) -> None:
    (out / UNDER_WAY).write_text(text)
    assert UNDER_WAY not in cleaned(out)[0]
    assert (out / UNDER_WAY).read_text() == text


def test_a_link_in_the_place_of_the_names_stays(out: Path) -> None:
    (out / UNDER_WAY).symlink_to("elsewhere")
    assert UNDER_WAY not in cleaned(out)[0]
    assert (out / UNDER_WAY).is_symlink()


def change(name: str) -> Callable[[Path], None]:
    def flipped(out: Path) -> None:
        data = bytearray((out / name).read_bytes())
        data[-2] ^= 1
        (out / name).write_bytes(data)

    return flipped


def longer(name: str) -> Callable[[Path], None]:
    return lambda out: (out / name).write_bytes((out / name).read_bytes() + b"\n")


def link(name: str) -> Callable[[Path], None]:
    def linked(out: Path) -> None:
        (out / name).rename(out.parent / "away")
        (out / name).symlink_to(out.parent / "away")

    return linked


def folder(name: str) -> Callable[[Path], None]:
    def made(out: Path) -> None:
        (out / name).unlink()
        (out / name).mkdir()

    return made


def pipe(name: str) -> Callable[[Path], None]:
    def made(out: Path) -> None:
        (out / name).unlink()
        os.mkfifo(out / name)

    return made


@pytest.mark.parametrize("name", ["0/0000.png", "0/0000.npy", "0/0000.preview.jpg"])
@pytest.mark.parametrize("alter", [change, longer, link, folder, pipe])
def test_a_changed_file_stays_and_the_others_go(
    out: Path, name: str, alter: Callable[[str], Callable[[Path], None]]
) -> None:
    alter(name)(out)
    before = files(out)
    away = out.parent / "away"
    kept = away.read_bytes() if away.exists() else b""
    removed, left = cleaned(out)
    assert set(left) == {name}
    assert removed == before - {name, ".gitkeep", MANIFEST}
    assert os.path.lexists(out / name)
    assert not away.exists() or away.read_bytes() == kept
    assert (out / MANIFEST).exists(), "it still lists the file"


@pytest.mark.parametrize("alter", [longer, change, link])
def test_without_a_json_that_can_be_trusted_its_files_stay(
    out: Path, alter: Callable[[str], Callable[[Path], None]]
) -> None:
    alter("0/0000.json")(out)
    names = {f"0/0000.{kind}" for kind in ("png", "npy", "preview.jpg", "json")}
    _, left = cleaned(out)
    assert set(left) >= {"0/0000.json"}
    assert set(left) <= names
    assert files(out) == {*left, ".gitkeep", MANIFEST}


def test_what_others_put_there_stays(out: Path) -> None:
    own = {"0/mine.png": b"x", "notes.txt": b"y", "1/deep/z.json": b"{}", "0/0000.PNG": b"z"}
    for name, data in own.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(data)
    (out / "my folder").mkdir()
    _, left = cleaned(out)
    assert left == {}
    assert {name: (out / name).read_bytes() for name in files(out) - {".gitkeep"}} == own
    assert (out / "my folder").is_dir()


def test_a_page_that_somebody_changed_stays(out: Path) -> None:
    page = out / "index.html"
    page.write_text("<p>mine</p>")
    cleaned(out)
    assert page.read_text() == "<p>mine</p>"


def lay(out: Path, name: str, outputs: dict[str, int]) -> None:
    with manifest_in(out, writable=True) as report:
        report.append(Entry(name, DONE, outputs=outputs))


@pytest.mark.parametrize("absolute", [True, False])
def test_a_line_of_the_report_cannot_lead_out(out: Path, absolute: bool) -> None:
    written = write_result(result(ramp()), out.parent / "other/x", ["png"], {})
    names = [str(path) if absolute else f"../other/{path.name}" for path in written]
    lay(out, "x.jpg", {name: path.stat().st_size for name, path in zip(names, written)})
    _, left = cleaned(out)
    assert left == dict.fromkeys(names, "it is outside the output folder")
    assert all(path.exists() for path in written)


def test_a_folder_that_is_a_link_is_not_followed(out: Path) -> None:
    written = write_result(result(ramp()), out.parent / "other/x", ["png"], {})
    (out / "linked").symlink_to(out.parent / "other")
    lay(out, "x.jpg", {f"linked/{path.name}": path.stat().st_size for path in written})
    _, left = cleaned(out)
    assert set(left) == {"linked/x.png", "linked/x.json"}
    assert all(path.exists() for path in written)
    named = out.parent / "named"
    named.symlink_to(out)
    with pytest.raises(InputError, match="a link, which is not followed here"):
        cleaned(named)


def test_a_file_that_only_the_report_or_only_the_json_lists_stays(out: Path) -> None:
    path, beside = write_result(result(ramp()), out / "x", ["png"], {})
    mine = out / "mine.png"
    mine.write_bytes(b"mine")
    lay(out, "x.jpg", {"mine.png": 4, "x.json": beside.stat().st_size})
    _, left = cleaned(out)
    assert left == {"mine.png": CHANGED}
    assert path.exists(), "the report does not list it"


def test_a_file_of_another_folder_is_not_taken_for_a_listed_one(out: Path) -> None:
    _, beside = write_result(result(ramp()), out / "x", ["png"], {})
    found = json.loads(beside.read_text())
    found["maps"]["depth"]["files"]["png"]["name"] = "../away.png"
    beside.write_text(json.dumps(found))
    away = out.parent / "away.png"
    away.write_bytes((out / "x.png").read_bytes())
    lay(out, "x.jpg", {"../away.png": away.stat().st_size, "x.json": beside.stat().st_size})
    _, left = cleaned(out)
    assert left == {"../away.png": "it is outside the output folder"}
    assert away.exists()


def test_a_job_that_runs_is_not_disturbed(out: Path) -> None:
    before = files(out)
    with manifest_in(out, writable=True), pytest.raises(ManifestError, match="another job"):
        cleaned(out)
    assert files(out) == before


def test_a_rerun_after_cleaning_makes_everything_again(out: Path) -> None:
    cleaned(out)
    job = FolderJob(out.parent / "images", out, formats=("png",))
    engine = make_engine()
    assert run(engine, replace(job, preview=False), Stop()) == 0
    assert engine.library.network.runs == 4


def test_the_command(out: Path) -> None:
    change("0/0000.png")(out)
    (out / "0/0000.png").rename(out / "0/0000.png")

    def command(*arguments: object) -> tuple[int, list[str], list[str]]:
        done = ended(lambda: guarded(app, "depth", ServeError), "depth", "clean", *arguments)
        return done.code, done.out.splitlines(), done.err.splitlines()

    code, printed, said = command(out, "--dry-run")
    assert (code, len(printed)) == (0, 16)
    assert f"{out}/0/0000.json" in printed
    assert said == [f"left: {out}/0/0000.png: {CHANGED}", "16 would be removed, 1 left"]
    assert command(out)[0::2] == (0, [said[0], "16 removed, 1 left"])
    assert command(out.parent / "none")[0] == 2
