"""Which batch runs next, and on which core: one that holds the program, or one that loads it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import NamedTuple, Optional

from depth.artifact.program import ProgramKey
from serve.scheduling.core import CoreState, RunResult
from serve.scheduling.queues import Batch, Queue, Request
from serve.scheduling.worker import Limits

_NEW_SHARE = 0.2  # of the latest measurement in a running mean
_RECENT_LOADS = 10  # a copy that is worth it later evicts nothing that ran within 10 loading times


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

    def add_run(
        self, core: CoreState, program: ProgramKey, result: RunResult, now_s: float
    ) -> float:
        """Note a run that went well. Returns how long the device took for it, in seconds.

        The time of a run that waited behind another one begins when that one ended. It is 0 if
        the other run's thread reported later.
        """
        seconds = max(0.0, result.ended_s - max(result.started_s, core.ran_until_s))
        core.ran_until_s = max(result.ended_s, core.ran_until_s)
        if program in core.loaded:
            core.loaded.move_to_end(program)
        self.run_s[program] = _mean(self.run_s.get(program, seconds), seconds)
        self.ran_at_s[program] = now_s
        return seconds

    def backlog_s(self, program: ProgramKey, waiting: int) -> float:
        """How long one core would need for the waiting requests; 0 if the program never ran."""
        return waiting / program.batch * self.run_s.get(program, 0.0)

    def free_s(self, core: CoreState, now_s: float) -> float:
        """When a core should have ended all of its runs; inf if nobody can say.

        That is so if a program has not run before, or now takes over twice its time: it may hang.
        """
        usual_s = [self.run_s.get(run.program, math.inf) for run in core.runs if run.program]
        began_s = core.runs[0].began_s
        return math.inf if now_s - began_s > 2 * usual_s[0] else began_s + sum(usual_s)

    def recent(self, program: ProgramKey, now_s: float) -> bool:
        return now_s - self.ran_at_s.get(program, -math.inf) < _RECENT_LOADS * self.load_s


def idle(core: CoreState, now_s: float) -> bool:
    return core.in_service and not core.runs and now_s >= core.rests_until_s


def has(core: CoreState, program: ProgramKey) -> bool:
    """Whether the core holds the program or loads it now."""
    return program in core.loaded or any(run.program == program for run in core.runs)


def _loading(core: CoreState) -> bool:
    return any(run.loads for run in core.runs)


def _mean(mean: float, latest: float) -> float:
    return mean + _NEW_SHARE * (latest - mean)


def _can_follow(core: CoreState, program: ProgramKey, runs_per_core: int, now_s: float) -> bool:
    """Whether the core may get a run of this program behind the one that it runs now.

    Not if its memory has run out: a program in use cannot make room.
    """
    has_place = 0 < len(core.runs) < runs_per_core and not _loading(core) and not core.full
    rested = now_s >= core.rests_until_s
    return core.in_service and has_place and rested and program in core.loaded


class Placed(NamedTuple):
    """A batch of a queue, and the core for it. The lowest `turn_s` goes first."""

    turn_s: float  # when its first request arrived, later if the core has to load the program
    queue: Queue
    batch: Batch
    core: CoreState


class Placement:
    """Places batches on cores. `shared`: loading a program on one core loads it on all."""

    def __init__(self, cores: Sequence[CoreState], limits: Limits, shared: bool) -> None:
        self.measured = Measured(load_s=0.0 if shared else math.inf)
        self._cores = cores
        self._limits = limits

    @property
    def may_load(self) -> bool:
        return sum(map(_loading, self._cores)) < self._limits.loads_at_once

    def next(self, waiting: Sequence[Queue], now_s: float, closing: bool) -> Optional[Placed]:
        """The batch that runs next; None if all have to wait. `closing`: no batch may grow.

        A core that runs gets the first batch of all only: else a program to be loaded would never
        find an idle core.
        """
        free = [core for core in self._cores if idle(core, now_s)]
        if free:
            placed = [self._on_idle_core(queue, free, now_s, closing) for queue in waiting]
            return min(filter(None, placed), key=attrgetter("turn_s"), default=None)
        if self._limits.runs_per_core > 1:
            return self._on_running_core(min(waiting, key=self._turn_for_any_s), now_s)
        return None

    def ran(
        self, core: CoreState, program: ProgramKey, result: RunResult, waiting: bool, now_s: float
    ) -> float:
        """As `Measured.add_run`. `waiting`: whether requests wait for the program's holders."""
        ran_s = self.measured.add_run(core, program, result, now_s)
        core.batches[len(result.answers)] += 1
        core.busy_s += ran_s
        if waiting and any(idle(other, now_s) and not has(other, program) for other in self._cores):
            self.measured.starved_s[program] += ran_s
        return ran_s

    def choose_core(
        self, batch: Batch, idle: Sequence[CoreState], now_s: float
    ) -> Optional[CoreState]:
        """The idle core that should run a batch now; None if the batch should wait.

        Four choices, in this order:

        idle holder           holds the program
        worth a copy now      all holders are busy, and their backlog takes longer than loading
        worth a copy later    the same, counting what requests have waited since the last load
        least recently used   no core holds the program
        """
        choices = _Choices(batch, self._cores, idle, self.measured, now_s)
        return (
            choices.idle_holder()
            or choices.worth_a_copy_now()
            or choices.worth_a_copy_later()
            or choices.least_recently_used()
        )

    def _on_idle_core(
        self, queue: Queue, idle: Sequence[CoreState], now_s: float, closing: bool
    ) -> Optional[Placed]:
        """The first batch of a queue that finds a core."""
        for batch in queue.ready(now_s, closing):
            core = self.choose_core(batch, idle, now_s)
            held = core is not None and has(core, batch.program)
            if core is not None and (held or self.may_load):
                return Placed(self._turn_s(batch.requests[0], held), queue, batch, core)
        return None

    def _on_running_core(self, queue: Queue, now_s: float) -> Optional[Placed]:
        """A full batch, since a smaller one may grow, on the holder that should be free first.

        None if a request of the batch would expire until then.
        """
        batch, runs = queue.full_batch(), self._limits.runs_per_core
        if batch is None:
            return None
        usable = [core for core in self._cores if core.index not in batch.requests[0].excluded]
        able = [core for core in usable if _can_follow(core, batch.program, runs, now_s)]
        free = ((self.measured.free_s(core, now_s), core) for core in able)
        free_s, core = min(free, key=itemgetter(0), default=(math.inf, None))
        expires_s = min(request.expires_s for request in batch.requests)
        return None if core is None or free_s >= expires_s else Placed(0.0, queue, batch, core)

    def _turn_s(self, first: Request, held: bool) -> float:
        """A load counts as one loading time later, so that programs do not take turns."""
        return first.arrived_s + (0.0 if held else self.measured.load_s)

    def _turn_for_any_s(self, queue: Queue) -> float:
        held = any(core.in_service and has(core, queue.largest) for core in self._cores)
        return self._turn_s(queue.requests[0], held)


class _Choices:
    """The cores among which a batch has its choice, and what waiting and loading cost."""

    def __init__(
        self,
        batch: Batch,
        cores: Sequence[CoreState],
        idle: Sequence[CoreState],
        measured: Measured,
        now_s: float,
    ) -> None:
        program, excluded = batch.program, batch.requests[0].excluded
        self.serving = [core for core in cores if core.in_service]
        # The batch excludes cores, unless it excludes all.
        usable = [core for core in self.serving if core.index not in excluded] or self.serving
        self.holders = [core for core in usable if has(core, program)]
        self.idle = [core for core in idle if core in usable]
        self.backlog_s = measured.backlog_s(program, batch.waiting)
        self.starved_s = measured.starved_s[program]
        # While a copy is loaded, all holders together go on.
        self.cost_s = measured.load_s * len(self.holders)
        self.measured, self.now_s = measured, now_s

    def idle_holder(self) -> Optional[CoreState]:
        """The idle holder with the fewest programs: the others stay free for theirs."""
        ready = [core for core in self.idle if core in self.holders]
        return min(ready, key=lambda core: (len(core.loaded), core.last_used_s), default=None)

    def worth_a_copy_now(self) -> Optional[CoreState]:
        """A core for another copy, if the holders would need longer for what waits."""
        worth = self.holders and self.backlog_s >= self.cost_s
        return _least_recently_used(self.idle) if worth else None

    def worth_a_copy_later(self) -> Optional[CoreState]:
        """A core for another copy, if requests have lost that much time since the last load.

        Callers that wait for an answer before they send the next request never make a backlog.
        The copy evicts no program that is in use and on no other core.
        """
        if not self.holders or self.backlog_s + self.starved_s < self.cost_s:
            return None
        return _least_recently_used([core for core in self.idle if not self._would_be_missed(core)])

    def least_recently_used(self) -> Optional[CoreState]:
        """A core for the first copy."""
        return None if self.holders else _least_recently_used(self.idle)

    def _would_be_missed(self, core: CoreState) -> bool:
        """Whether a copy could evict a program that would soon be loaded again."""
        oldest = next(iter(core.loaded), None)
        if oldest is None or not core.full or not self.measured.recent(oldest, self.now_s):
            return False
        return sum(has(other, oldest) for other in self.serving) == 1


def _least_recently_used(cores: Collection[CoreState]) -> Optional[CoreState]:
    return min(cores, key=lambda core: core.last_used_s, default=None)
