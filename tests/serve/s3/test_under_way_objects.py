"""An image that ends the process of an S3 job is done last and alone, and fails after two kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from depth.store.objects import ObjectStore, open_store
from serve.jobs.entry import DONE, KEPT, Entry
from serve.jobs.objects.listing import Waiting
from serve.jobs.objects.under_way import SUFFIX, UNDER_WAY, NamedImages
from serve.jobs.stop import Stop
from tests.serve.s3.conftest import Pair
from tests.support.hostile import encoded, picture
from tests.support.object_jobs import data, left, logged, put_images, run
from tests.support.places import ROOT

KILLER = "0/0003-killer.png"

# A job whose process ends when it decodes KILLER; prints how many images are under way beside it.
_JOB = f"""
import os, signal, sys, threading, time
from serve.jobs import stage
from tests.support.object_jobs import run
decode, under_way, lock = stage.decode, [], threading.Lock()
def deadly(file, needed):
    with lock:
        under_way.append(file.name)
    if file.name == {KILLER!r}:
        time.sleep(0.5)
        print("killer beside", len(under_way) - 1, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        time.sleep(1.0 if sys.argv[4:] else 0)
        return decode(file, needed)
    finally:
        with lock:
            under_way.remove(file.name)
stage.decode = deadly
note = lambda entry, _: print(entry.status, entry.image, flush=True)
sys.exit(run(sys.argv[1], sys.argv[2], sys.argv[3] or None, on_entry=note).report.exit_code)
"""


def job(pair: Pair, *slow: str) -> tuple[int, list[str], str]:
    """Exit code, lines of stdout and the text of stderr."""
    done = subprocess.run(
        [sys.executable, "-c", _JOB, pair.source, pair.target, pair.url or "", *slow],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def names_of(store: ObjectStore) -> list[str]:
    """Keys of the objects that name images."""
    return [each.key for each in store.listed("") if f"/{UNDER_WAY}/" in each.key]


def named(store: ObjectStore) -> dict[str, Any]:
    (key,) = names_of(store)
    found: dict[str, Any] = json.loads(data(store, key))
    return found


def put_killer(pair: Pair) -> None:
    put_images(pair.images, 12)
    pair.images.write(KILLER, encoded(picture(28, 42), "PNG"))


@pytest.fixture
def killed(pair: Pair) -> Pair:
    """Stores with images of which one ended the first run."""
    put_killer(pair)
    code, lines, _ = job(pair, "slow")
    assert code == -signal.SIGKILL
    assert lines[-1].startswith("killer beside ")
    assert lines[-1] != "killer beside 0"
    assert KILLER in named(pair.results)["under_way"]
    return pair


@pytest.mark.long
@pytest.mark.parametrize("pair", ["folder", "s3"], indirect=True)
def test_an_image_that_ends_the_job_is_done_last_and_alone_then_fails(killed: Pair) -> None:
    assert len(named(killed.results)["under_way"]) > 1
    code, lines, said = job(killed)
    assert (code, lines[-1]) == (-signal.SIGKILL, "killer beside 0")
    assert "the last run was killed while these images were under way, so they come last" in said
    assert named(killed.results)["under_way"] == [KILLER]

    code, lines, said = job(killed)
    assert code == 3
    assert len(lines) == 13
    assert f"failed {KILLER}" in lines
    (line,) = [line for line in logged(killed.results) if line.get("image") == KILLER]
    assert "killed twice while this image was under way" in str(line["reason"])
    assert "42x28 px take up to 0 MB" in str(line["reason"])
    assert line["sha256"]
    assert len(left(killed.results).images) == 12

    code, lines, _ = job(killed)  # tries the image again, alone
    assert (code, lines[-1]) == (-signal.SIGKILL, "killer beside 0")


@pytest.mark.long
def test_an_image_that_was_only_near_is_done_and_nothing_remains(killed: Pair) -> None:
    """The process was killed from outside: this time every image goes well."""
    ran = run(killed.source, killed.target)
    assert set(ran.fates.values()) <= {DONE, KEPT}
    assert ran.report.exit_code == 0
    assert names_of(killed.results) == []
    assert set(run(killed.source, killed.target).fates.values()) == {KEPT}


@pytest.mark.parametrize("stopped", [False, True])
def test_a_job_that_ends_by_itself_leaves_no_names(pair: Pair, stopped: bool) -> None:
    put_images(pair.images, 80)
    stop, seen = Stop(), set()

    def note(*_: object) -> None:
        seen.update(names_of(pair.results))
        if stopped:
            stop.request("SIGTERM")

    ran = run(pair.source, pair.target, stop=stop, on_entry=note)
    assert bool(ran.report.left) == stopped
    assert [key.rpartition("/")[2] for key in seen] == [f"0-of-1{SUFFIX}"]
    assert names_of(pair.results) == []


def done(item: Waiting) -> Entry:
    return Entry(item.image, DONE)


def test_a_store_on_the_disk_keeps_them_below_the_results(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with open_store(str(tmp_path / "out")) as store:
        names = NamedImages(store, "folder", "0-of-1")
        waiting = [Waiting("a", 9, "0" * 12)]
        found = names.each(waiting, done, done, 1, lambda: False)
        next(found)
        assert names_of(store) == [f"folder/{UNDER_WAY}/0-of-1{SUFFIX}"]
        found.close()  # type: ignore[attr-defined]
        assert names_of(store) == []
