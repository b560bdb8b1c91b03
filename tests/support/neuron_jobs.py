"""Folder jobs on the NeuronCores of this lane, with faults where a test wants them.

A test module that imports `machine_fixture`, `chip_fixture`, `cores_fixture` and
`two_sizes_fixture` has the fixtures `cores` and `two_sizes`, an artifact.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import torch

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.sizes import Size
from serve.backend import OpenBackend, open_backend
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.entry import Entry, Report
from serve.library import Library
from serve.runtimes import neuron_program
from serve.runtimes.neuron_program import OnCore
from serve.shapes import BUCKETS
from tests.support.hostile import encoded, picture
from tests.support.neuron_machine import TRACEBACK
from tests.support.neuron_served import LANE, SIZE, Chip, built

LYING, STANDING = SIZE, (SIZE[1], SIZE[0])
LOAD, RUN, UNLOAD = "load", "run", "unload"
EVERY_CORE = list(range(LANE.cores))


@dataclass(frozen=True)
class Event:
    """A program was loaded on a core with its first run, ran an image there, or was given back."""

    what: str
    core: int  # -1 if no scheduler did it
    size: Size


@dataclass
class Cores:
    """What the cores do, in this order, and what is to go wrong on them."""

    events: list[Event] = field(default_factory=list)
    # Called as an event begins, with how many of its kind its core had before; may raise.
    before: Callable[[Event, int], object] = lambda _event, _count: None
    backend: OpenBackend = open_backend
    _faulty: tuple[int, int] = field(init=False)

    def count(self, what: str, core: Optional[int] = None) -> int:
        return sum(e.what == what and core in (None, e.core) for e in self.events)

    def runs(self) -> dict[int, int]:
        """How many images each core ran."""
        return dict(Counter(event.core for event in self.events if event.what == RUN))

    def happens(self, event: Event) -> None:
        before = self.count(event.what, event.core)
        self.events.append(event)
        self.before(event, before)

    def at(self, what: str, nth: int, do: Callable[[], object], core: Optional[int] = None) -> None:
        """At the nth event of this kind, on this core or wherever it is, `do`, which may raise."""
        turns = itertools.count(1)

        def before(event: Event, _count: int) -> None:
            if event.what == what and core in (None, event.core) and next(turns) == nth:
                self._faulty = event.core, len(self._on(event.core))
                do()

        self.before = before

    def fail(self, text: str, what: str, nth: int, core: Optional[int] = None) -> None:
        """As `at`: it fails, as the SDK would say it."""

        def fail() -> None:
            raise RuntimeError(TRACEBACK.format(text))

        self.at(what, nth, fail, core)

    def around_the_fault(self) -> tuple[list[Event], list[Event]]:
        """What the core of `at` did up to that, and afterwards. Raises if it never came to that."""
        core, count = self._faulty
        return self._on(core)[:count], self._on(core)[count:]

    def _on(self, core: int) -> list[Event]:
        return [event for event in self.events if event.core == core]

    def engine(self, artifact: Artifact) -> Engine:
        return Engine(Library([artifact], allow_unverified=True), BUCKETS, backend=self.backend)

    def job(self, artifact: Artifact, folder: Path) -> tuple[Report, list[Entry]]:
        """Every image in `folder`/in, by an engine of its own."""
        entries: list[Entry] = []
        job = FolderJob(folder / "in", folder / "out", formats=("npy",))
        with self.engine(artifact) as engine:
            report = run_folder(engine, job, lambda entry, _: entries.append(entry))
        return report, entries


class _Watched:
    """A program that was loaded, with its events."""

    def __init__(self, program: Any, size: Size, cores: Cores) -> None:
        self._program, self._size, self._cores = program, size, cores
        self._next = LOAD
        given_back = Event(UNLOAD, _this_core(), size)
        weakref.finalize(self, cores.events.append, given_back).atexit = False

    def __call__(self, *tensors: torch.Tensor) -> Any:
        what, self._next = self._next, RUN
        self._cores.happens(Event(what, _this_core(), self._size))
        return self._program(*tensors)


def _this_core() -> int:
    name = threading.current_thread().name
    return int(name.rpartition(" ")[2]) if name.startswith("core ") else -1


@pytest.fixture(name="cores")
def cores_fixture(chip: Chip) -> Cores:
    """A machine with one chip whose every event is seen."""
    cores = Cores()

    class OnWatchedCore(OnCore):
        def __init__(self, loaded: Any, artifact: Artifact, program: Program) -> None:
            super().__init__(_Watched(loaded, program.size, cores), artifact, program)

    chip.monkeypatch.setattr(neuron_program, "OnCore", OnWatchedCore)
    return cores


_two_sizes: list[Artifact] = []  # once for all modules: building takes seconds


@pytest.fixture(name="two_sizes", scope="session")
def two_sizes_fixture(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    if not _two_sizes:
        folder = tmp_path_factory.mktemp("two sizes") / "build"
        _two_sizes.append(built(folder, sizes=[LYING, STANDING]))
    return _two_sizes[0]


def write_images(folder: Path, count: int, *sizes: Size) -> None:
    """Small images, each different, the sizes taking turns."""
    (folder / "in").mkdir()
    for index in range(count):
        image = picture(*sizes[index % len(sizes)], seed=index)
        (folder / "in" / f"{index:02}.png").write_bytes(encoded(image, "PNG", compress_level=1))
