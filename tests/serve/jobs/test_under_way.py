"""An image that ends the process is named, done last and alone, and fails after a second time."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST
from serve.folder.request import FolderJob
from serve.jobs import under_way as module
from serve.jobs.entry import DONE, FAILED, KEPT, Entry
from serve.jobs.under_way import UNDER_WAY, under_way_in
from tests.support.folder_jobs import make_engine, write_images
from tests.support.hostile import encoded, picture
from tests.support.places import ROOT

KILLER = "0/0003-killer.png"

# A job in which the process ends when it decodes KILLER, with other images under way beside it
# unless it is alone; prints the order of the images.
_JOB = f"""
import os, signal, sys, threading, time
from pathlib import Path
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs import batch
from tests.support.folder_jobs import make_engine
decode, under_way, lock = batch.decode, [], threading.Lock()
def deadly(file, needed):
    name = file.name[-len({KILLER!r}):]
    with lock:
        under_way.append(name)
    if name == {KILLER!r}:
        time.sleep(0.1)
        print("killer beside", len(under_way) - 1, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        time.sleep(0.2 if len(sys.argv) > 3 else 0)
        return decode(file, needed)
    finally:
        with lock:
            under_way.remove(name)
batch.decode = deadly
job = FolderJob(Path(sys.argv[1]), Path(sys.argv[2]))
report = run_folder(make_engine(), job, lambda entry, _: print(entry.status, entry.image, flush=True))
sys.exit(report.exit_code)
"""  # noqa: E501


def run(folder: Path, *slow: str) -> tuple[int, list[str], str]:
    """Exit code, lines of stdout and the text of stderr."""
    done = subprocess.run(
        [sys.executable, "-c", _JOB, str(folder / "in"), str(folder / "out"), *slow],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def names(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "out" / UNDER_WAY).read_bytes().partition(b"\n")[0])


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A folder with images of which one ended the first run."""
    write_images(tmp_path / "in", 12)
    (tmp_path / "in" / KILLER).write_bytes(encoded(picture(28, 42), "PNG"))
    code, lines, _ = run(tmp_path, "slow")
    assert code == -signal.SIGKILL
    assert lines[-1].startswith("killer beside ")
    assert lines[-1] != "killer beside 0"
    assert KILLER in names(tmp_path)["under_way"]
    return tmp_path


def test_an_image_that_ends_the_job_is_done_last_and_alone_then_fails(killed: Path) -> None:
    suspects = names(killed)["under_way"]
    assert len(suspects) > 1
    code, lines, said = run(killed)
    assert code == -signal.SIGKILL
    assert lines[-1] == "killer beside 0"
    assert "the last run was killed while these images were under way, so they come last" in said
    assert KILLER in said
    assert names(killed)["under_way"] == [KILLER]

    code, lines, said = run(killed)
    assert code == 3
    assert len(lines) == 13
    assert f"failed {KILLER}" in lines
    (line,) = [
        json.loads(text)
        for text in (killed / "out" / MANIFEST).read_text().splitlines()
        if KILLER in text
    ]
    assert "killed twice while this image was under way" in line["reason"]
    assert "42x28 px take up to 0 MB" in line["reason"]
    assert line["sha256"]
    assert line["settings"]

    code, lines, _ = run(killed)  # tries it again, alone
    assert (code, lines[-1]) == (-signal.SIGKILL, "killer beside 0")


def entries(folder: Path, **options: Any) -> dict[str, str]:
    found: list[Entry] = []
    job = FolderJob(folder / "in", folder / "out", **options)
    run_folder(make_engine(), job, lambda entry, _: found.append(entry))
    return {entry.image: entry.status for entry in found}


def test_an_image_that_was_only_near_is_done_and_nothing_remains(killed: Path) -> None:
    """The process was killed from outside: this time every image goes well."""
    suspects = names(killed)["under_way"]
    found = entries(killed)
    assert set(found.values()) <= {DONE, KEPT}
    assert found[KILLER] == DONE
    assert set(suspects) <= set(found)
    assert not (killed / "out" / UNDER_WAY).exists()
    assert set(entries(killed).values()) == {KEPT}


def test_suspects_that_are_kept_or_gone_are_none(killed: Path) -> None:
    (killed / "in" / KILLER).unlink()
    code, _, _ = run(killed)
    assert code == 0
    assert not (killed / "out" / UNDER_WAY).exists()


def test_a_guilty_image_stays_failed_with_keep_failed(killed: Path) -> None:
    run(killed)
    assert entries(killed)[KILLER] == FAILED
    assert entries(killed, retry_failed=False)[KILLER] == FAILED
    assert entries(killed)[KILLER] == DONE


def test_a_dry_run_leaves_the_file_alone(killed: Path) -> None:
    before = (killed / "out" / UNDER_WAY).read_bytes()
    entries(killed, dry_run=True)
    assert (killed / "out" / UNDER_WAY).read_bytes() == before


@pytest.mark.parametrize(
    ("kills", "cause"),
    [
        ((3, 4), "The kernel ended a process for lack of memory; reduce the image"),
        ((3, 3), "It was killed from outside, or a decoder crashed; save the image again"),
        ((3, 0), "It was killed from outside"),  # the machine was started again
        ((-1, 4), "It was killed from outside"),
    ],
)
def test_the_reason_names_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: tuple[int, int], cause: str
) -> None:
    text = {"format": 1, "under_way": ["a"], "suspects": ["a", "b"], "kernel_kills": kills[0]}
    (tmp_path / UNDER_WAY).write_text(json.dumps(text) + "\n")
    (tmp_path / "vmstat").write_text(f"pgfault 7\noom_kill {kills[1]}\n")
    monkeypatch.setattr(module, "_KILLS", tmp_path / "vmstat")
    with under_way_in(tmp_path, {"a", "b", "c"}, writable=True) as found:
        assert (found.suspects, found.guilty) == ({"a", "b"}, {"a"})
        assert cause in found.reason((3, 2), 5_000_000)
        assert "3x2 px take up to 5 MB" in found.reason((3, 2), 5_000_000)


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"format": 1}', "[]\n", '{"format": 2, "under_way": ["a"]}\n', "[" * 9999 + "\n"]
    + ['{"format": 1, "under_way": "a", "suspects": [1, "z"], "kernel_kills": "x"}\n'],
)
def test_a_file_of_anything_else_names_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / UNDER_WAY).write_text(text)
    with under_way_in(tmp_path, {"a"}, writable=True) as found:
        assert (found.suspects, found.guilty) == (set(), set())
        with found.named("a"):
            assert json.loads((tmp_path / UNDER_WAY).read_text().partition("\n")[0]) == {
                "format": 1,
                "under_way": ["a"],
                "suspects": [],
                "kernel_kills": found._kills,
            }
    assert not (tmp_path / UNDER_WAY).exists()


def test_a_planted_link_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    write_images(tmp_path / "in", 2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / UNDER_WAY).symlink_to(victim)
    with caplog.at_level(logging.WARNING):
        assert set(entries(tmp_path).values()) == {DONE}
    assert victim.read_text() == "mine"
    assert f"{UNDER_WAY}: cannot be used: a link" in caplog.text


def test_names_that_are_not_text_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)  # a report of pytest cannot hold such a name
    odd = os.fsdecode(b"\xff\n.png")
    with under_way_in(tmp_path, {odd}, writable=True) as found, found.named(odd):
        before = (tmp_path / UNDER_WAY).read_bytes()
    (tmp_path / UNDER_WAY).write_bytes(before)
    with under_way_in(tmp_path, {odd}, writable=True) as found:
        assert found.suspects == {odd}
