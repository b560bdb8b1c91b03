"""A polite request to end is met like Ctrl-C: what cleans up still runs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Optional


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """SIGTERM raises SystemExit in the main thread, which this is for.

    Else a compiler would go on without us, and half an artifact would stay.
    """

    def end(number: int, _frame: Optional[FrameType]) -> None:
        # `timeout` and others send it twice, and what cleans up must not be cut off.
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
