"""A wish to stop: what runs is finished, nothing more begins."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import get_ident
from types import FrameType
from typing import Optional

_STDERR = 2
# What a terminal, a container's host and a machine that shuts down send.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHOW_CURSOR = "\x1b[?25h"
# Wakes the main thread when another one asks for the stop. Not one of the above: after a spot
# notice the first SIGTERM must still let images finish. Ignored by whoever does not handle it.
_WAKE = signal.SIGURG


class Stopped(Exception):
    """A stop was requested inside `Stop.interrupts`."""


class Stop:
    """Whether to stop, and why. Any thread may ask; one handles signals."""

    def __init__(self) -> None:
        self.reason = ""
        self._interruptible: Optional[int] = None  # the thread that is inside `interrupts`

    def requested(self) -> bool:
        return bool(self.reason)

    def request(self, reason: str) -> None:
        """Ask for the stop; the first reason stays. Raises Stopped inside `interrupts`.

        From another thread it raises there, if that is the main thread inside `stop_on_signals`.
        Then ask until the work is over: a signal just before a system call does not end the call.
        """
        self.reason = self.reason or reason
        self.cut_off()
        thread = self._interruptible
        if thread is not None:
            signal.pthread_kill(thread, _WAKE)

    def cut_off(self) -> None:
        """Raise Stopped if there was a request and this thread is inside `interrupts`."""
        if self.reason and self._interruptible == get_ident():
            self._interruptible = None  # once: what cleans up after it is left alone
            raise Stopped(self.reason)

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """For work that can be cut off anywhere: a stop raises Stopped in it."""
        self._interruptible = get_ident()
        try:
            self.cut_off()
            yield
        finally:
            self._interruptible = None


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
        # A bar hides the cursor, and a second signal leaves it no time to show it again.
        cursor = _SHOW_CURSOR if os.isatty(_STDERR) else ""
        say(f"{cursor}{name}: finishing what is under way; a second signal ends at once")
        stop.request(name)

    def wake(_number: int, _frame: Optional[FrameType]) -> None:
        stop.cut_off()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    before[_WAKE] = signal.signal(_WAKE, wake)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(line: str) -> None:
    """To stderr, where a stream may be in the middle of a write or may be gone."""
    with suppress(OSError):
        os.write(_STDERR, f"{line}\n".encode())
