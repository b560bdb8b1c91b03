"""Whether the whole process stood still: nothing that ran could be answered meanwhile."""

from __future__ import annotations

import math

TICK_S = 1.0  # the longest sleep, so that a pause shows in which nothing was to be done
PAUSE_S = 1.0  # who sleeps so much longer has been stopped, as by Ctrl-Z or `docker pause`


class Sleep:
    """Of the thread that watches the time."""

    def __init__(self) -> None:
        self.until_s = math.inf

    def begin(self, now_s: float, alarm_s: float) -> float:
        """How long it may be, in seconds."""
        self.until_s = min(alarm_s, now_s + TICK_S)
        return max(0.0, self.until_s - now_s)

    def too_long(self, now_s: float) -> bool:
        """Asked when it has ended, and before anything is made of the time."""
        paused = now_s - self.until_s > PAUSE_S
        self.until_s = now_s
        return paused
