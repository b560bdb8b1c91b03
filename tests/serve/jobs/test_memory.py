"""Images under way stay inside a limit of bytes, and no image waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from depth.errors import InputError
from depth.images.header import ImageHeader
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs import memory
from serve.jobs.memory import MOST_BYTES, Room, default_limit_bytes
from serve.jobs.stop import Stop
from tests.support.folder_jobs import make_engine, write_images
from tests.support.hostile import encoded, picture
from tests.support.places import ROOT
from tests.support.processes import until

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def header(megapixels: int) -> ImageHeader:
    return ImageHeader(1_000_000, megapixels, "PNG", "RGB", 1)


def test_more_files_of_an_image_need_more_memory() -> None:
    assert Room(files=1).needed_bytes(header(100)) == 1_700_000_000
    assert Room(files=3).needed_bytes(header(100)) == 2_500_000_000


class Images:
    """Images that take room in threads, in the order in which they come."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._leave: dict[str, threading.Event] = {}
        self.under_way: set[str] = set()

    def come(self, name: str, megapixels: int, alone: bool = False) -> None:
        self._leave[name] = threading.Event()

        def work() -> None:
            with self._room.taken(header(megapixels), alone):
                self.under_way.add(name)
                assert self._leave[name].wait(10)
                self.under_way.discard(name)

        threading.Thread(target=work, daemon=True).start()

    def go(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()

    def become(self, *names: str) -> bool:
        return until(lambda: self.under_way == set(names)) and not until(
            lambda: self.under_way != set(names), 0.05
        )


def test_images_wait_for_room_in_their_order() -> None:
    images = Images(Room(limit_bytes=100 * 17_000_000))
    images.come("a", 60)
    images.come("b", 30)
    assert images.become("a", "b")
    images.come("c", 50)
    assert images.become("a", "b")
    images.come("d", 5)  # has room, but would overtake
    assert images.become("a", "b")
    images.go("b")
    assert images.become("a")
    images.go("a")
    assert images.become("c", "d")
    images.go("c", "d")
    assert images.become()


@pytest.mark.parametrize("megapixels", [101, 1])
def test_an_image_over_the_limit_and_a_suspect_are_alone(megapixels: int) -> None:
    images = Images(Room(limit_bytes=100 * 17_000_000))
    images.come("a", 1)
    assert images.become("a")
    images.come("alone", megapixels, alone=megapixels == 1)
    assert images.become("a")
    images.come("b", 1)
    images.go("a")
    assert images.become("alone")
    images.go("alone")
    assert images.become("b")
    images.go("b")


def test_room_is_given_back_after_a_failure() -> None:
    room = Room(limit_bytes=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.taken(header(1)):
            raise ZeroDivisionError


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.mark.parametrize(
    ("cgroup", "files", "limit"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "300\n"}, 300),
        ("0::/a/b\n", {"a/b/memory.max": "200\n", "a/memory.max": "300\n"}, 200),
        ("0::/\n", {"memory.max": "90\n"}, 90),
        ("0::/../x\n", {"memory.max": "90\n"}, 90),
        ("4:cpu,memory:/docker/1\n", {"memory/memory.limit_in_bytes": "600\n"}, 600),
        ("4:memory:/g\n", {"memory/g/memory.limit_in_bytes": f"{(1 << 63) - 4096}\n"}, MACHINE),
        ("0::/a\n", {"a/memory.max": "no number\n"}, MACHINE),
        ("", {}, MACHINE),
    ],
)
def test_the_default_is_a_third_of_what_the_process_may_use(
    tmp_path: Path, cgroup: str, files: dict[str, str], limit: int
) -> None:
    write(tmp_path, "proc/self/cgroup", cgroup)
    for name, text in files.items():
        write(tmp_path, f"sys/fs/cgroup/{name}", text)
    assert default_limit_bytes(tmp_path) == min(MOST_BYTES, limit // 3)


def test_a_machine_without_control_groups(tmp_path: Path) -> None:
    assert default_limit_bytes(tmp_path) == min(MOST_BYTES, MACHINE // 3)


class Pixels:
    """Counts the pixels of the images that an engine works on at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
        self.most = self.now = self.most_images = self.images = 0
        lock = threading.Lock()
        prepare, finish = engine.prepare, engine.finish

        def count(size: int, images: int) -> None:
            with lock:
                self.now += size
                self.images += images
                self.most = max(self.most, self.now)
                self.most_images = max(self.most_images, self.images)

        def prepared(source, **options):
            count(source.pixels.size // 3, 1)
            return prepare(source, **options)

        def finished(raw):
            result = finish(raw)
            count(-raw.prepared.source.pixels.size // 3, -1)
            return result

        monkeypatch.setattr(engine, "prepare", prepared)
        monkeypatch.setattr(engine, "finish", finished)


@pytest.mark.parametrize("large_limit", [False, True])
def test_a_job_keeps_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large_limit: bool
) -> None:
    """Without a limit, the failing side, four images of 40,000 px are under way at once."""
    write_images(tmp_path / "in", 12)
    for index in range(8):
        data = encoded(picture(200, 200, seed=index), "PNG")
        (tmp_path / "in" / f"{index}.png").write_bytes(data)
    limit = 10**9 if large_limit else 17 * 50_000
    monkeypatch.setattr(memory, "default_limit_bytes", lambda: limit)
    engine = make_engine(0.02)
    seen = Pixels(monkeypatch, engine)
    report = run_folder(engine, FolderJob(tmp_path / "in", tmp_path / "out"))
    assert report.counts["done"] == 20
    assert (seen.most > 50_000) == large_limit
    assert seen.most_images > 2


def test_a_user_sets_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "in", 12)
    engine = make_engine(0.02)
    seen = Pixels(monkeypatch, engine)
    job = FolderJob(tmp_path / "in", tmp_path / "out", memory_gb=17 * 1_500 / 1e9)
    assert run_folder(engine, job).counts["done"] == 12
    assert seen.most_images in (1, 2)  # of 600 to 720 px
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="--memory-gb .*: expected a number of GB over 0"):
            run_folder(engine, replace(job, memory_gb=wrong))


def test_an_image_that_waits_for_room_is_left_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "in", 8)
    monkeypatch.setattr(memory, "default_limit_bytes", lambda: 1)
    stop = Stop()
    report = run_folder(
        make_engine(0.05),
        FolderJob(tmp_path / "in", tmp_path / "out"),
        lambda *_: stop.request("enough"),
        stop,
    )
    assert report.counts["done"] < 4
    assert report.left == 8 - report.counts["done"]


_FREED = """
import sys, threading
from pathlib import Path
import numpy as np
from serve.jobs.memory import keep_freed_memory
def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
def images():
    for _ in range(3):
        [np.ones(8_000_000, np.uint8) for _ in range(6)]
if "keep" in sys.argv:
    keep_freed_memory()
before = resident_mb()
thread = threading.Thread(target=images)
thread.start()
thread.join()
print(resident_mb() - before)
"""


@pytest.mark.skipif(not os.confstr("CS_GNU_LIBC_VERSION"), reason="about glibc")
@pytest.mark.parametrize(("argument", "kept"), [("", False), ("keep", True)])
def test_a_server_keeps_what_its_images_freed(argument: str, kept: bool) -> None:
    command = [sys.executable, "-c", _FREED, argument]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    assert (float(done.stdout) > 35) is kept, done.stdout
