"""What is handed to a core next: whose turn it is, in which batch, and where."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Optional

from depth.artifact.program import ProgramKey
from serve.scheduling.batching import batch_size
from serve.scheduling.core import Core
from serve.scheduling.limits import Limits
from serve.scheduling.placement import Measured, Wish, choose_core, choose_next_free
from serve.scheduling.queues import Queue
from serve.scheduling.request import Request


@dataclass(frozen=True)
class Plan:
    """The next batch of a queue, for a core."""

    queue: Queue
    start: int  # its place in the queue
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
                (self._turn_s(plan.queue[plan.start], plan.program, [plan.core]), plan)
                for plan in found
                if plan is not None
            ]
            return min(turns, key=itemgetter(0), default=(0.0, None))[1]
        if self._limits.runs_per_core == 1:
            return None
        # Only for who is first of all: else what has to be loaded would never find an idle core.
        first = min(waiting, key=lambda q: self._turn_s(q.head, q.largest, self._cores))
        return self._to_follow(first, now_s)

    def _turn_s(self, first: Request, program: ProgramKey, cores: Collection[Core]) -> float:
        """The lowest goes first.

        Who makes a core load waits that much longer, so that programs do not take turns.
        """
        held = any(core.in_service and core.has(program) for core in cores)
        return first.arrived_s + (0.0 if held else self._measured.load_s)

    def _for_idle(self, queue: Queue, now_s: float, closing: bool) -> Optional[Plan]:
        """The first batch that finds a core: the head's may have to wait for another than these."""
        found = (self._from(queue, start, now_s, closing) for start in queue.starts())
        return next((plan for plan in found if plan is not None), None)

    def _from(self, queue: Queue, start: int, now_s: float, closing: bool) -> Optional[Plan]:
        first, together = queue[start], queue.together(queue.batches[-1], start)
        # Who came later may have less time than the first.
        live = islice(queue, start, start + together)
        due = closing or first.alone or any(request.due_s <= now_s for request in live)
        batch = batch_size(together, queue.batches, due)
        if batch is None:
            return None
        program = first.shape.batch_of(batch)
        wish = Wish(program, len(queue) - start, first.avoid)
        core = choose_core(wish, self._cores, self._measured, now_s)
        if core is None or not (core.has(program) or self.may_load):
            return None
        return Plan(queue, start, program, core)

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
        return Plan(queue, 0, program, core)
