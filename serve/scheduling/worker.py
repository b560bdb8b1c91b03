"""What a scheduler needs from one core, and how it names programs."""

from __future__ import annotations

from typing import Protocol

from depth.artifact.manifest import ProgramKey
from depth.maps.depth_map import FloatArray


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
