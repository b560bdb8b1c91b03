"""A sequence frame by frame: where shots begin, how values move, what range shows them, flicker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from depth.fitting.robust import ScaleShift
from depth.images.read import Pixels
from depth.maps.result import FloatArray
from depth.sequences.flicker import Flicker
from depth.sequences.motion import Motion
from depth.sequences.neighbours import UNMOVED, Aligned, Neighbours
from depth.sequences.ranges import FRAME, STREAMING, Span, StreamingRange, wider
from depth.sequences.shots import Shots, reduced, small_size

NONE, NEIGHBOURS = "none", "neighbours"
ALIGNMENTS = (NONE, NEIGHBOURS)


@dataclass(frozen=True, eq=False)
class Look:
    """What is known of a frame at a glance; small, so that many can wait.

    picture  [h,w,3] uint8 BGR
    values   [h,w] depth of the network, of the same small size
    span     of all its values
    """

    picture: Pixels
    values: FloatArray
    span: Span

    @staticmethod
    def of(pixels: Pixels, values: FloatArray) -> Look:
        """A look at pixels [H,W,3] BGR and depth of any size."""
        size = small_size(*pixels.shape[:2])
        span = float(values.min()), float(values.max())
        return Look(reduced(pixels, size), reduced(values, size), span)


@dataclass(frozen=True)
class Placed:
    """A frame in its sequence. Written values = scale * value + shift.

    span     that its pictures show; None: that of the whole sequence, which is known at the end
    flicker  against the frame before, as written; None for the first of a shot
    """

    begins: bool
    move: ScaleShift
    fitted: bool
    span: Optional[Span]
    flicker: Optional[float]


class Following:
    """Places the frames of a sequence, in their order; memory does not grow with their number.

    kind    of depth
    align   of ALIGNMENTS
    ranges  of RANGES
    """

    def __init__(self, kind: str, align: str, ranges: str) -> None:
        self._ranges = ranges
        self._shots = Shots()
        self._neighbours = Neighbours(kind) if align == NEIGHBOURS else None
        self._streaming = StreamingRange()
        self.span: Optional[Span] = None  # of all written values so far
        self.before, self.after, self.own_range = Flicker(), Flicker(), Flicker()

    def place(self, look: Look) -> Placed:
        """The next frame."""
        found = self._shots.motion(look.picture)
        begins = found is None
        aligned = Aligned(UNMOVED, True)
        if self._neighbours:
            aligned = self._neighbours.aligned(look.values, found)
        own = _moved(look.span, aligned.move)
        self.span = wider(self.span, own)
        small = moved(look.values, aligned.move)
        span = self._span(small, own, begins)
        flicker = self._flicker(look, small, span, found)
        return Placed(begins, aligned.move, aligned.fitted, span, flicker)

    def _span(self, small: FloatArray, own: Span, begins: bool) -> Optional[Span]:
        if self._ranges == STREAMING:
            return self._streaming.add(small, begins)
        return own if self._ranges == FRAME else None

    def _flicker(
        self, look: Look, small: FloatArray, span: Optional[Span], found: Optional[Motion]
    ) -> Optional[float]:
        self.before.add(look.values, found)
        self.own_range.add(_shown(look.values, look.span), found)
        return self.after.add(small if span is None else _shown(small, span), found)


def moved(values: FloatArray, move: ScaleShift) -> FloatArray:
    """The written values; the same array if nothing moves."""
    return values if move == UNMOVED else move.applied(values).astype(np.float32)


def _moved(span: Span, move: ScaleShift) -> Span:
    low, high = (move.scale * value + move.shift for value in span)
    return low, high


def _shown(values: FloatArray, span: Span) -> FloatArray:
    """The values as a picture of that range has them: 0 to 1."""
    low, high = span
    wide = high - low if high > low else 1.0
    return ((values - low) / wide).astype(np.float32)
