"""What is handed to a core next: whose turn it is, in which batch, and where."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Optional

from serve.scheduling.batching import batch_size
from serve.scheduling.core import Core
from serve.scheduling.limits import Limits
from serve.scheduling.placement import Measured, Wish, choose_core, choose_next_free
from serve.scheduling.queues import Queue
from serve.scheduling.worker import ProgramKey


@dataclass(frozen=True)
class Plan:
    """The next batch of a queue, for a core."""

    queue: Queue
    program: ProgramKey
    core: Core


class Planner:
    """Every method is called under the scheduler's lock."""

    def __init__(self, cores: Sequence[Core], limits: Limits, measured: Measured) -> None:
        self._cores = cores
        self._limits = limits
        self._measured = measured

    @property
    def may_load(self) -> bool:
        return sum(core.loading for core in self._cores) < self._limits.loads_at_once

    def next_plan(self, queues: Collection[Queue], now_s: float, closing: bool) -> Optional[Plan]:
        """None if everything that waits has to wait. `closing`: no batch waits for company."""
        waiting = [queue for queue in queues if len(queue)]
        if not waiting:
            return None
        if any(core.idle(now_s) for core in self._cores):
            found = (self._for_idle(queue, now_s, closing) for queue in waiting)
            turns = [
                (self._turn_s(plan.queue, plan.program, [plan.core]), plan)
                for plan in found
                if plan is not None
            ]
            return min(turns, key=itemgetter(0), default=(0.0, None))[1]
        if self._limits.runs_per_core == 1:
            return None
        # Only for who is first of all: else what has to be loaded would never find an idle core.
        first = min(waiting, key=lambda q: self._turn_s(q, q.largest, self._cores))
        return self._to_follow(first, now_s)

    def _turn_s(self, queue: Queue, program: ProgramKey, cores: Collection[Core]) -> float:
        """The lowest goes first.

        Who makes a core load waits that much longer, so that programs do not take turns.
        """
        held = any(core.in_service and core.has(program) for core in cores)
        return queue.head.arrived_s + (0.0 if held else self._measured.load_s)

    def _for_idle(self, queue: Queue, now_s: float, closing: bool) -> Optional[Plan]:
        head, together = queue.head, queue.together(queue.batches[-1])
        # Who came later may have less time than the head.
        due = closing or head.alone or any(r.due_s <= now_s for r in islice(queue, together))
        batch = batch_size(together, queue.batches, due)
        if batch is None:
            return None
        program = ProgramKey(*head.size, batch)
        wish = Wish(program, len(queue), head.avoid)
        core = choose_core(wish, self._cores, self._measured, now_s)
        if core is None or not (core.has(program) or self.may_load):
            return None
        return Plan(queue, program, core)

    def _to_follow(self, queue: Queue, now_s: float) -> Optional[Plan]:
        """For a core that runs. Only a full batch: another may grow until a core is idle."""
        program = queue.largest
        if queue.together(program.batch) < program.batch:
            return None
        wish = Wish(program, len(queue), queue.head.avoid)
        runs = self._limits.runs_per_core
        core = choose_next_free(wish, self._cores, self._measured, now_s, runs)
        expires_s = min(request.expires_s for request in islice(queue, program.batch))
        if core is None or self._measured.free_s(core, now_s) >= expires_s:
            return None  # who would expire until then must be told so
        return Plan(queue, program, core)
