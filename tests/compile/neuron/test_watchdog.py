"""The watchdog ends a compiler that takes too much, with all its children, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import pytest

from compile.neuron import watchdog
from compile.neuron.watchdog import Watch, free_memory_bytes, watched

PLENTY = 1 << 50
GROW = "import time; held = bytearray(120 << 20); time.sleep(60)"
PARENT = (
    "import subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]])\n"
    "print(child.pid, flush=True)\n"
    "child.wait()\n"
)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_EVERY_S", 0.02)


@pytest.fixture(name="neighbour")
def neighbour_fixture() -> Iterator[subprocess.Popen[bytes]]:
    """A process that was there before the compiler."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def family() -> tuple[subprocess.Popen[str], int]:
    """A process with a child that takes 120 MB and a minute."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, GROW], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout as lines:
        return parent, int(lines.readline())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone(process: int) -> bool:
    """Whether a process has ended, or is about to: nobody may have asked for its exit code yet."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        stat = Path(f"/proc/{process}/stat")
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_memory_over_the_limit_ends_parent_and_child_and_spares_the_neighbour(
    neighbour: subprocess.Popen[bytes],
) -> None:
    with watched(Watch(100 << 20)) as watch:
        parent, child = family()
        assert parent.wait(timeout=10) == -9
    assert watch.cause == "memory"
    assert watch.peak_bytes > 100 << 20
    assert gone(child)
    assert neighbour.poll() is None


def test_the_time_limit_ends_both_too(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    with watched(Watch(PLENTY), timeout_s=60.0) as watch:
        parent, child = family()
        now_s[0] = 61.0
        assert parent.wait(timeout=10) == -9
    assert watch.cause == "time"
    assert gone(child)


def test_the_watchdog_also_ends_a_child_born_after_its_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, unborn = watchdog._processes, []

    def processes() -> dict[int, Any]:
        found = real()
        if not unborn:  # the first look comes before its birth
            unborn.append(found.pop(child))
        return found

    others = set(watchdog._descendants(real()))
    parent, child = family()
    monkeypatch.setattr(watchdog, "_processes", processes)
    watchdog._look(Watch(PLENTY), others, deadline=0.0)
    assert parent.wait(timeout=10) == -9
    assert unborn
    assert gone(child)


def test_an_exception_leaves_no_orphan_behind(neighbour: subprocess.Popen[bytes]) -> None:
    def compile_run(watch: Watch) -> None:
        parent, child = family()
        until(lambda: {parent.pid, child} <= set(watch.seen))
        parent.kill()  # as subprocess.run does at its timeout
        parent.wait()
        found.append(child)
        raise KeyboardInterrupt

    found: list[int] = []
    with pytest.raises(KeyboardInterrupt), watched(Watch(PLENTY)) as watch:
        compile_run(watch)
    assert gone(found[0])
    assert neighbour.poll() is None


def test_the_watchdog_leaves_a_modest_compiler_alone() -> None:
    with watched(Watch(PLENTY), timeout_s=600.0) as watch:
        compiler = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        until(lambda: watch.peak_bytes > 1 << 20)
        compiler.communicate(b"\n")
        assert compiler.returncode == 0
    assert watch.cause is None
    assert watch.peak_bytes < 100 << 20


def test_a_copy_of_this_process_is_not_the_compiler_yet() -> None:
    """Its memory is ours: without exec, a child shares every page."""
    with watched(Watch(1), timeout_s=0.0) as watch:
        child = os.fork()
        if not child:
            time.sleep(0.2)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert (watch.peak_bytes, watch.cause) == (0, None)


def test_the_watchdog_reads_a_name_with_brackets() -> None:
    numbers = " ".join(str(number) for number in range(4, 53))
    facts = watchdog._facts(f"77 (odd) name) S {numbers}\n")
    assert facts == watchdog._Process(4, 22, 24 * os.sysconf("SC_PAGE_SIZE"))


def test_the_default_limit_is_a_part_of_what_is_free() -> None:
    free = {line.split(":")[0]: line for line in Path("/proc/meminfo").read_text().splitlines()}
    total_bytes = int(free["MemTotal"].split()[1]) << 10
    assert 0 < free_memory_bytes() < total_bytes
