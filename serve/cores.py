"""The cores of this process with the programs of a library on them, opened at the first run."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Lock
from typing import Optional

from serve.backend import Backend, OpenBackend, open_backend
from serve.errors import ClosedError
from serve.library import Library
from serve.runtimes.neuron_cores import check_same_process
from serve.scheduling.core import Snapshot
from serve.scheduling.scheduler import Scheduler

MANY = 1_000_000


@dataclass(frozen=True)
class Opened:
    """Cores in use."""

    backend: Backend
    scheduler: Scheduler
    pid: int  # of the process that has its threads


class Cores(AbstractContextManager["Cores"]):
    """A context manager with four states. Safe in any thread.

    new     nothing is opened yet
    open    from the first run on: holds all of the process's cores
    closed  takes no more work, and has given the cores back
    forked  in a child of the process that opened it: refuses work; start workers with `spawn`

    backend  what opens the cores
    """

    def __init__(self, library: Library, backend: OpenBackend = open_backend) -> None:
        self._library = library
        self._open_backend = backend
        self._opening = Lock()
        self._opened: Optional[Opened] = None
        self._closed = False

    def open(self, most: int = MANY) -> Opened:
        """The open cores.

        most  requests that are wanted at once, if this opens them; one gets the whole CPU

        Raises ClosedError, NoProgramError if the library is empty, ProgramError, or
        OutOfServiceError.
        """
        opened = self._opened
        if opened is not None and opened.pid != os.getpid():
            check_same_process(opened.pid)  # before a lock that the owner may have held
        with self._opening:
            if self._closed:
                raise ClosedError("the engine is closed and takes no more work")
            if self._opened is None:
                found = self._open_backend(self._library, most)
                scheduler = Scheduler(
                    found.workers, self._library.programs, found.reopen, found.limits, found.shared
                )
                self._opened = Opened(found, scheduler, os.getpid())
            return self._opened

    def snapshot(self) -> Optional[Snapshot]:
        """How its scheduler is doing; None before the first run and after `close`."""
        opened = self._opened
        return None if opened is None else opened.scheduler.snapshot()

    def close(self) -> None:
        """Take no more work, finish what there is, and give the cores back."""
        with self._opening:
            self._closed, opened = True, self._opened
        if opened is not None and opened.pid == os.getpid():
            opened.scheduler.close()
        self._opened = None

    def __exit__(self, *_raised: object) -> None:
        self.close()
