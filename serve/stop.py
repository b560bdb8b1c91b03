"""A wish to stop: what runs is finished, nothing more begins."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Optional

_STDERR = 2
# What a terminal, a container's host and a machine about to be reclaimed send.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """A stop was requested inside `Stop.interrupts`."""


class Stop:
    """Whether to stop, and why. Any thread may ask; one handles signals."""

    def __init__(self) -> None:
        self.reason = ""
        self._interrupting = False

    def requested(self) -> bool:
        return bool(self.reason)

    def request(self, reason: str) -> None:
        """Ask for the stop; the first reason stays. Raises Stopped inside `interrupts`."""
        self.reason = self.reason or reason
        if self._interrupting:
            raise Stopped(self.reason)

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """For work that can be cut off anywhere: a stop raises Stopped in it."""
        self._interrupting = True
        try:
            if self.reason:
                raise Stopped(self.reason)
            yield
        finally:
            self._interrupting = False


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A `Stop` that SIGTERM and SIGINT request; a second signal ends the process at once.

    For the main thread only. The handlers that were there return afterwards.
    """
    stop = Stop()

    def handle(number: int, _frame: Optional[FrameType]) -> None:
        for each_number in _SIGNALS:
            signal.signal(each_number, signal.SIG_DFL)
        name = signal.Signals(number).name
        text = f"{name}: finishing what is under way; a second signal ends at once\n"
        with suppress(OSError):
            os.write(_STDERR, text.encode())  # a stream may be in the middle of a write
        stop.request(name)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
