"""How many scenes are under way at once: each holds the features of all of its views."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from depth.errors import InputError
from serve.errors import QueueFullError
from serve.scenes.watch import LOOK_EVERY_S, Wanted

AT_ONCE, WAITING = 2, 16  # by default


class Turns:
    """Scenes under way, bounded, and scenes that wait for them, bounded. Safe in any thread.

    at_once  scenes under way
    waiting  further scenes whose callers wait; more are refused
    """

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        if at_once < 1 or waiting < 0:
            raise InputError(f"{at_once} scenes at once, {waiting} waiting: expected 1, 0 or more")
        self._free = at_once
        self._most = waiting
        self.waiting = 0  # scenes now
        self._changed = Condition()

    @contextmanager
    def taken(self, wanted: Wanted) -> Iterator[None]:
        """Wait for a turn, then hold it.

        Raises QueueFullError at once if too many wait, GivenUpError, or ExpiredError.
        """
        with self._changed:
            if not self._free:
                self._wait(wanted)
            self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify()

    def _wait(self, wanted: Wanted) -> None:
        if self.waiting >= self._most:
            raise QueueFullError(f"{self.waiting} scenes wait already; send it again later")
        self.waiting += 1
        try:
            while not self._free:
                wanted.check()
                self._changed.wait(LOOK_EVERY_S)
        finally:
            self.waiting -= 1
