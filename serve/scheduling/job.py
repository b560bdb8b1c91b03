"""What a core is handed, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from depth.artifact.program import ProgramKey
from serve.arrays import Arrays
from serve.scheduling.request import Request


@dataclass(eq=False)
class Job:
    """What a core is handed at one time."""

    program: Optional[ProgramKey]  # None: its worker is opened again
    requests: list[Request]  # none: the program is only loaded
    loads: bool  # it has not begun to run yet, nor ended
    taken: bool = False  # by one of the core's threads
    began_s: float = math.inf  # when it was the first that the core had
    until_s: float = math.inf  # a core that is not done by then hangs
    at_device_s: float = math.inf  # when its thread had its arrays together, and called the device

    @property
    def warms(self) -> bool:
        return not self.requests


@dataclass
class Outcome:
    """What became of a job, and how long its parts took."""

    answers: Optional[Sequence[Arrays]] = None  # in the order of the requests
    error: Optional[Exception] = None
    load_s: Optional[float] = None
    run_s: Optional[float] = None
