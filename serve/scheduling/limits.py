"""How much waits, runs and loads at once, and for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    queue_size: int = 64  # requests that wait, for each shape
    batch_wait_s: float = 0.0  # how long a request waits for others to fill a larger batch
    runs_per_core: int = 1  # handed to it at once, so that it need not wait for the host between
    run_timeout_s: float = 30.0  # a core that runs longer hangs
    load_timeout_s: float = 600.0  # the same for loading a program or opening a core
    loads_at_once: float = math.inf  # on all cores together
