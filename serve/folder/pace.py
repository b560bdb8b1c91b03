"""How fast a job goes, and how long it will take."""

from __future__ import annotations

from datetime import timedelta
from typing import Optional


class Pace:
    """Images a second and the time left, from the images that took work.

    The first one is the start: what came before it was loading and compiling.
    """

    def __init__(self) -> None:
        self._first_s: Optional[float] = None
        self._after = 0  # images after the first
        self._rate = 0.0

    def worked(self, now_s: float) -> None:
        """One more image is finished at this time."""
        if self._first_s is None:
            self._first_s = now_s
            return
        self._after += 1
        self._rate = self._after / max(now_s - self._first_s, 1e-6)

    def text(self, left: int) -> str:
        """Rate and time for `left` more images; "" before the second image."""
        if not self._rate:
            return ""
        rest = timedelta(seconds=round(left / self._rate))
        return f"{self._rate:.1f} images/s, {rest} left"
