"""A request to stop a job: images under way are finished, and no other image begins."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Optional

_STDERR = 2
# Sent by a terminal, by a container's host and by a machine that shuts down.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHOW_CURSOR = "\x1b[?25h"


class Stop:
    """A flag with a reason. Any thread may set it; long waits poll it."""

    def __init__(self) -> None:
        self.reason = ""

    def requested(self) -> bool:
        return bool(self.reason)

    def request(self, reason: str) -> None:
        """Set the flag. The first reason stays."""
        self.reason = self.reason or reason


@contextmanager
def stop_on_signals(stop: Stop) -> Iterator[None]:
    """SIGTERM and SIGINT request the stop; a second signal ends the process at once.

    For the main thread only. The earlier handlers return afterwards.
    """

    def handle(number: int, _frame: Optional[FrameType]) -> None:
        for each_number in _SIGNALS:
            signal.signal(each_number, signal.SIG_DFL)
        name = signal.Signals(number).name
        # A bar hides the cursor, and a second signal leaves it no time to show it again.
        cursor = _SHOW_CURSOR if os.isatty(_STDERR) else ""
        say(f"{cursor}{name}: finishing what is under way; a second signal ends at once")
        stop.request(name)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(line: str) -> None:
    """Write to stderr, where a stream may be in the middle of a write or may be gone."""
    with suppress(OSError):
        os.write(_STDERR, f"{line}\n".encode())
