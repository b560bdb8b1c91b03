"""What a scheduler needs from a core, and how much it asks of each core."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Optional, Protocol

from depth.artifact.program import ProgramKey
from serve.arrays import Arrays
from serve.errors import Action, ProgramError


class Worker(Protocol):
    """One core. Each method may raise ProgramError, whose `action` says what to do about it.

    Up to `Limits.runs_per_core` threads call `run` at once, also while another thread calls `load`
    or `unload` for another program. Any other call has the core to itself.
    """

    def load(self, program: ProgramKey) -> None:
        """Put a program on the core and run it once, so that it counts as ready."""

    def unload(self, program: ProgramKey) -> None:
        """Give the program's memory back."""

    def run(self, program: ProgramKey, arrays: Arrays) -> Arrays:
        """Inputs by name to outputs by name, of a loaded program; axis 0 is the batch."""

    def close(self) -> None:
        """Give the core back."""


Reopen = Callable[[int], Worker]  # a new worker for the core of this index


@dataclass(frozen=True)
class Limits:
    """How much waits, runs and loads at once, and for how long."""

    queue_size: int = 64  # requests that wait, for each shape
    batch_wait_s: float = 0.0  # how long a request waits for others to fill a larger batch
    runs_per_core: int = 1  # dispatched to a core at once: it need not wait for the host between
    run_timeout_s: float = 30.0  # a core that runs longer hangs
    load_timeout_s: float = 600.0  # the same for loading a program or opening a core
    loads_at_once: float = math.inf  # on all cores together
    reopenings: float = math.inf  # of a core that fails after each; then the process has to end

    def timeout_s(self, loads: bool) -> float:
        """Of a run, or of a load before it."""
        return self.load_timeout_s if loads else self.run_timeout_s


def action_of(error: Exception) -> Optional[Action]:
    """What the error says to do; None if it says nothing."""
    return error.action if isinstance(error, ProgramError) else None
