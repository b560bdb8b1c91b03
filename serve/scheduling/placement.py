"""Which core runs a program: one that holds it, unless another copy is worth its loading time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Optional

from depth.artifact.program import ProgramKey
from serve.scheduling.core import Core

_NEW_SHARE = 0.2  # of the latest measurement in a running mean
_RECENT_LOADS = 10  # what ran within so many loading times is not pushed out for convenience


@dataclass
class Measured:
    """How long loads and runs have taken so far, as running means in seconds."""

    load_s: float = math.inf  # of any program; inf as long as none was loaded
    run_s: dict[ProgramKey, float] = field(default_factory=dict)
    ran_at_s: dict[ProgramKey, float] = field(default_factory=dict)  # the last time
    # How long requests have waited for a program's holders while another core stood idle.
    starved_s: defaultdict[ProgramKey, float] = field(default_factory=lambda: defaultdict(float))

    def add_load(self, program: ProgramKey, seconds: float) -> None:
        first = self.load_s == math.inf
        self.load_s = seconds if first else _mean(self.load_s, seconds)
        self.starved_s.pop(program, None)

    def add_run(self, program: ProgramKey, seconds: float, now_s: float) -> None:
        self.run_s[program] = _mean(self.run_s.get(program, seconds), seconds)
        self.ran_at_s[program] = now_s

    def backlog_s(self, program: ProgramKey, waiting: int) -> float:
        """How long one core would need for so many images; 0 if the program never ran."""
        return waiting / program.batch * self.run_s.get(program, 0.0)

    def free_s(self, core: Core, now_s: float) -> float:
        """When a core that runs should be done with all it was handed; inf if nobody can say.

        That is so if a program has not run before, or now takes over twice its time: it may hang.
        """
        usual_s = [self.run_s.get(job.program, math.inf) for job in core.jobs if job.program]
        began_s = core.jobs[0].began_s
        return math.inf if now_s - began_s > 2 * usual_s[0] else began_s + sum(usual_s)

    def recent(self, program: ProgramKey, now_s: float) -> bool:
        return now_s - self.ran_at_s.get(program, -math.inf) < _RECENT_LOADS * self.load_s


def _mean(mean: float, latest: float) -> float:
    return mean + _NEW_SHARE * (latest - mean)


@dataclass(frozen=True)
class Wish:
    """A program that should run now."""

    program: ProgramKey
    waiting: int  # images
    avoid: Collection[int]  # cores, unless there is no other


def choose_core(
    wish: Wish, cores: Sequence[Core], measured: Measured, now_s: float
) -> Optional[Core]:
    """The core for a wish, or None if it should wait for one.

    Of the idle cores that hold the program, the one that holds fewest others, so that these stay
    free for what only they hold. With none that holds it, the least recently used. Where its
    holders are busy, another core loads a copy only if that saves more time than it takes: now, or,
    since callers may hold back the next image until these are answered, all in all. In the second
    case nothing is pushed out that is in use and nowhere else.
    """
    serving = [core for core in cores if core.in_service]
    usable = [core for core in serving if core.index not in wish.avoid] or serving
    holders = [core for core in usable if core.has(wish.program)]
    ready = [core for core in holders if core.idle(now_s)]
    if ready:
        return min(ready, key=lambda core: (len(core.loaded), core.last_used_s))
    idle = [core for core in usable if core.idle(now_s)]
    backlog_s = measured.backlog_s(wish.program, wish.waiting)
    cost_s = measured.load_s * len(holders)
    if holders and backlog_s < cost_s:
        if backlog_s + measured.starved_s[wish.program] < cost_s:
            return None
        idle = [core for core in idle if not _would_miss(core, serving, measured, now_s)]
    return min(idle, key=lambda core: core.last_used_s, default=None)


def choose_next_free(
    wish: Wish, cores: Sequence[Core], measured: Measured, now_s: float, runs: int
) -> Optional[Core]:
    """Of the cores that run and hold the program, the one that should be free first."""
    usable = [core for core in cores if core.index not in wish.avoid]
    able = [core for core in usable if core.can_follow(wish.program, runs, now_s)]
    return min(able, key=lambda core: measured.free_s(core, now_s), default=None)


def _would_miss(core: Core, serving: Sequence[Core], measured: Measured, now_s: float) -> bool:
    """Whether another program could push out one that would soon be loaded again."""
    oldest = next(iter(core.loaded), None)
    if oldest is None or not core.full or not measured.recent(oldest, now_s):
        return False
    return sum(other.has(oldest) for other in serving) == 1
