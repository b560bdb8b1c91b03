"""Which core runs a program: one that holds it, unless another copy is worth its loading time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Optional

from serve.scheduling.core import Core
from serve.scheduling.worker import ProgramKey

_NEW_SHARE = 0.2  # of the latest measurement in a running mean


@dataclass
class Measured:
    """How long loads and runs have taken so far, as running means in seconds."""

    load_s: float = math.inf  # of any program; inf as long as none was loaded
    run_s: dict[ProgramKey, float] = field(default_factory=dict)
    # How long requests have waited for a program's holders while another core stood idle.
    starved_s: defaultdict[ProgramKey, float] = field(default_factory=lambda: defaultdict(float))

    def add_load(self, program: ProgramKey, seconds: float) -> None:
        first = self.load_s == math.inf
        self.load_s = seconds if first else _mean(self.load_s, seconds)
        self.starved_s.pop(program, None)

    def add_run(self, program: ProgramKey, seconds: float) -> None:
        self.run_s[program] = _mean(self.run_s.get(program, seconds), seconds)

    def worth_s(self, program: ProgramKey, waiting: int) -> float:
        """What a further copy would save: the time of one core for so many images that wait now,
        and, since callers may hold back the next until these are answered, what it would have
        saved already. 0 if the program never ran.
        """
        return waiting / program.batch * self.run_s.get(program, 0.0) + self.starved_s[program]


def _mean(mean: float, latest: float) -> float:
    return mean + _NEW_SHARE * (latest - mean)


def choose_core(
    program: ProgramKey,
    cores: Sequence[Core],
    avoid: Collection[int],
    now_s: float,
    worth_s: float,
    load_s: float,
) -> Optional[Core]:
    """The core to run `program` now, or None if it should wait for one.

    Of the idle cores that hold it, the one that holds fewest others, so that these stay free for
    what only they hold. With none that holds it, the least recently used. Where its holders are
    busy, another core loads a copy only if that is worth more time than it takes. Cores in `avoid`
    are used only if there is no other.
    """
    serving = [core for core in cores if core.in_service]
    usable = [core for core in serving if core.index not in avoid] or serving
    holders = [core for core in usable if core.has(program)]
    idle = [core for core in holders if core.idle(now_s)]
    if idle:
        return min(idle, key=lambda core: (len(core.loaded), core.last_used_s))
    if holders and worth_s < load_s * len(holders):
        return None
    idle = [core for core in usable if core.idle(now_s)]
    return min(idle, key=lambda core: core.last_used_s, default=None)
