"""An image that ends the process of an S3 job is done last and alone, and fails after two kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Optional

import pytest

from depth.errors import StoreError
from depth.store.objects import ObjectStore, open_store
from serve.jobs.entry import DONE, FAILED, KEPT, Entry
from serve.jobs.objects.listing import Waiting
from serve.jobs.objects.under_way import NAMED, SUFFIX, UNDER_WAY, NamedImages, whole_process
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


class _Spy:
    """A store in memory that counts puts and can refuse them."""

    name = "memory"

    def __init__(self, content: Optional[bytes] = None, refuses: bool = False) -> None:
        self.content, self.refuses = content, refuses
        self.puts = self.removals = 0
        self.seen: list[dict[str, Any]] = []

    def read(self, _key: str, _most: int) -> Any:
        if self.content is None:
            return None
        return type("Found", (), {"data": self.content})

    def write(self, _key: str, content: bytes) -> None:
        if self.refuses:
            raise StoreError("PutObject was denied")
        self.puts += 1
        self.content = content
        self.seen.append(json.loads(content))

    def remove(self, _key: str) -> None:
        self.removals += 1
        self.content = None


def names_in(store: _Spy, **options: Any) -> NamedImages:
    return NamedImages(store, "folder", "0-of-1", **options)  # type: ignore[arg-type]


def waiting(*images: str) -> list[Waiting]:
    return [Waiting(image, 9, "0" * 12) for image in images]


def done(item: Waiting) -> Entry:
    return Entry(item.image, DONE)


def refused(item: Waiting) -> Entry:
    return Entry(item.image, FAILED, reason="guilty")


def worked(
    names: NamedImages, *images: str, work: Any = done, workers: int = 2
) -> list[tuple[str, str]]:
    found = names.each(waiting(*images), work, refused, workers, lambda: False)
    return [(entry.image, entry.status) for entry in found]


@pytest.mark.parametrize("images", [0, 1, 2, NAMED, 200])
def test_a_put_names_several_images(images: int) -> None:
    store = _Spy()

    def work(item: Waiting) -> Entry:
        time.sleep(0.02)
        return done(item)

    names = list(map(str, range(images)))
    assert len(worked(names_in(store), *names, work=work, workers=12)) == images
    assert store.removals == int(images > 0)
    assert images / NAMED <= store.puts <= min(images, 16 + images / 4)
    said = set().union(*(content["under_way"] for content in store.seen))
    assert said == {*names}


def test_an_image_is_named_before_its_work_begins() -> None:
    store = _Spy()

    def work(item: Waiting) -> Entry:
        assert item.image in store.seen[-1]["under_way"]
        return done(item)

    assert len(worked(names_in(store), *"abcdef", work=work)) == 6


def test_a_store_that_takes_no_names_stops_no_image() -> None:
    assert worked(names_in(_Spy(refuses=True)), "a", "b") == [("a", DONE), ("b", DONE)]


def content(under_way: list[str], suspects: list[str]) -> bytes:
    told = {"format": 1, "under_way": under_way, "suspects": suspects}
    return json.dumps(told).encode() + b"\n"


def test_suspects_come_last_and_a_guilty_image_stays_one() -> None:
    store = _Spy(content(["b"], ["a", "b", "gone"]))
    assert worked(names_in(store), *"abc") == [("c", DONE), ("a", DONE), ("b", FAILED)]
    assert (store.seen[0]["under_way"], store.seen[0]["suspects"]) == ([], ["a", "b", "gone"])
    assert store.seen[-1] == {"format": 1, "under_way": [], "suspects": ["b"], "alone_in": {}}
    assert store.removals == 0
    assert worked(names_in(store), *"abc")[-1] == ("b", DONE), "the next run tries again"
    assert store.removals == 1


def test_an_image_with_two_lives_is_alone_in_two_kills_before_it_fails() -> None:
    """As in a cluster, where workers die for other reasons too."""

    def killed(_: Waiting) -> Entry:
        raise SystemExit

    store = _Spy(content(["b"], ["b"]))
    names = names_in(store, lives=2)
    names._finish = lambda: None  # type: ignore[method-assign]  # as after a kill
    with pytest.raises(SystemExit):
        worked(names, "b", work=killed)
    assert (store.seen[-1]["under_way"], store.seen[-1]["alone_in"]) == (["b"], {"b": 1})
    assert worked(names_in(store, lives=2), "b") == [("b", FAILED)]


def test_suspects_that_a_stop_left_stay_suspects() -> None:
    store = _Spy(content(["a"], []))
    names = names_in(store)
    assert list(names.each(waiting("a", "b"), done, refused, 2, lambda: True)) == []
    assert store.seen[-1]["suspects"] == ["a"]


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]\n", b'{"format": 2, "under_way": ["a"]}\n', b"[" * 9999, b"\xff"]
    + [b'{"format": 1, "under_way": "a", "suspects": [1]}\n'],
)
def test_an_object_of_anything_else_names_nothing(text: bytes) -> None:
    store = _Spy(text)
    assert worked(names_in(store), "a") == [("a", DONE)]
    assert store.removals == 1


def test_a_suspect_is_alone_in_its_process() -> None:
    """Two batches of a process, as a worker of a cluster has them."""
    process, running, most = whole_process(), [0], {"suspect": 0, "other": 0}
    lock, begun = threading.Lock(), threading.Event()

    def work(item: Waiting) -> Entry:
        kind = item.image.rstrip("0123456789")
        with lock:
            running[0] += 1
            most[kind] = max(most[kind], running[0])
        begun.wait(0.01)
        with lock:
            most[kind] = max(most[kind], running[0])
            running[0] -= 1
        return done(item)

    images = [f"suspect{number}" for number in range(5)]
    batches = [
        (names_in(_Spy(content(images, [])), process=process), images),
        (names_in(_Spy(), process=process), [f"other{number}" for number in range(40)]),
    ]
    threads = [
        threading.Thread(target=worked, args=(names, *each), kwargs={"work": work})
        for names, each in batches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most["suspect"] == 1
    assert most["other"] > 1


def test_a_store_on_the_disk_keeps_them_below_the_results(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with open_store(str(tmp_path / "out")) as store:
        names = NamedImages(store, "folder", "0-of-1")
        found = names.each(waiting("a"), done, refused, 1, lambda: False)
        next(found)
        assert names_of(store) == [f"folder/{UNDER_WAY}/0-of-1{SUFFIX}"]
        found.close()  # type: ignore[attr-defined]
        assert names_of(store) == []
