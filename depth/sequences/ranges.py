"""The range of values that pictures of a sequence show, lowest to highest.

SEQUENCE   the same for all frames: the lowest and the highest value of all. Takes two passes
STREAMING  percentiles of each frame, averaged over the last frames; a new shot begins anew
FRAME      each frame has its own, as pictures of single images; it flickers
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from depth.maps.result import FloatArray

SEQUENCE, STREAMING, FRAME = "sequence", "streaming", "frame"
RANGES = (SEQUENCE, STREAMING, FRAME)

Span = tuple[float, float]

_PERCENTILES = (1, 99)
_SHARE = 0.1  # of the newest frame in the average


def span_of(values: FloatArray) -> Span:
    """The lowest and the highest value."""
    return float(values.min()), float(values.max())


def wider(span: Optional[Span], other: Span) -> Span:
    """The range that has both in it."""
    return other if span is None else (min(span[0], other[0]), max(span[1], other[1]))


class StreamingRange:
    """An exponential moving average of percentiles, with constant memory."""

    def __init__(self) -> None:
        self._span: Optional[Span] = None

    def add(self, small: FloatArray, begins: bool) -> Span:
        """The range for this frame. `begins`: it is the first of a shot."""
        low, high = map(float, np.percentile(small, _PERCENTILES))
        if self._span is None or begins:
            self._span = low, high
        else:
            last_low, last_high = self._span
            self._span = (
                last_low + _SHARE * (low - last_low),
                last_high + _SHARE * (high - last_high),
            )
        return self._span
