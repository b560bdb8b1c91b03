"""What a scheduler needs from one core, and how it names programs."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from depth_anything_v2.depth_map import FloatArray

Size = tuple[int, int]  # (height, width) px


class ProgramKey(NamedTuple):
    """One program of an artifact, all its stages together."""

    height_px: int
    width_px: int
    batch: int

    @property
    def size(self) -> Size:
        return self.height_px, self.width_px

    @property
    def name(self) -> str:
        return f"{self.height_px}x{self.width_px}-b{self.batch}"


class Worker(Protocol):
    """One core. Each method may raise RuntimeFailure, whose `action` says what to do about it.

    `run` is called by as many threads as `Limits.runs_per_core` says, and beside a `load` or an
    `unload` of another program; anything else has the core for itself.
    """

    def load(self, program: ProgramKey) -> None:
        """Put a program on the core and run it once, so that it counts as ready."""

    def unload(self, program: ProgramKey) -> None:
        """Give its memory back."""

    def run(self, program: ProgramKey, images: FloatArray) -> FloatArray:
        """[B,3,H,W] float32 -> [B,H,W] float32, of a program that is loaded."""

    def close(self) -> None:
        """Give the core back."""
