"""How a scheduler is doing, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

from serve.scheduling.dispatcher import Dispatcher


@dataclass(frozen=True)
class Snapshot:
    """At one moment."""

    waiting: int  # requests in the queues
    running: int  # requests on the cores
    cores: int
    cores_in_service: int
    retries: int  # requests put back after a failure, since the start

    @staticmethod
    def of(state: Dispatcher) -> Snapshot:
        """With the scheduler's lock held."""
        return Snapshot(
            state.waiting,
            sum(len(job.requests) for core in state.cores for job in core.jobs),
            len(state.cores),
            sum(core.in_service for core in state.cores),
            state.retries,
        )
