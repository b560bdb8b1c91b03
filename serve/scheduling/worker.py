"""What a scheduler needs from one core."""

from __future__ import annotations

from typing import Protocol

from depth.artifact.program import ProgramKey
from serve.arrays import Arrays


class Worker(Protocol):
    """One core. Each method may raise ProgramError, whose `action` says what to do about it.

    `run` is called by as many threads as `Limits.runs_per_core` says, and beside a `load` or an
    `unload` of another program; anything else has the core for itself.
    """

    def load(self, program: ProgramKey) -> None:
        """Put a program on the core and run it once, so that it counts as ready."""

    def unload(self, program: ProgramKey) -> None:
        """Give its memory back."""

    def run(self, program: ProgramKey, arrays: Arrays) -> Arrays:
        """Inputs by name to outputs by name, of a program that is loaded; axis 0 is the batch."""

    def close(self) -> None:
        """Give the core back."""
