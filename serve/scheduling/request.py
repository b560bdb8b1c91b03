"""One request, and the answer that its caller gets exactly once."""

from __future__ import annotations

import math
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Optional

from depth.artifact.program import Shape
from depth.errors import InputError
from serve.arrays import Arrays
from serve.errors import ExpiredError, NoProgramError


class Pending(Future[Arrays]):
    """Outputs by name to come; once the outputs are there, also how long they took."""

    waited_s = 0.0  # in the queue, for a program to load, and in tries that failed
    ran_s = 0.0  # in the run that gave the outputs, together with the rest of its batch


@dataclass(eq=False)
class Request:
    """Arrays for a program of a shape. Times are those of time.monotonic()."""

    arrays: Arrays  # without the batch axis
    shape: Shape
    future: Pending
    arrived_s: float
    due_s: float  # until then the request may wait for others, to share a batch
    expires_s: float  # the request must start before this time, or it expires
    excluded: frozenset[int] = frozenset()  # cores that failed the request
    failures: int = 0
    hangs: int = 0
    alone: bool = False  # runs in no batch: a request of its last batch was at fault
    claimed: bool = False
    outputs: Optional[Arrays] = None  # of a request that was answered, without the batch axis
    error: Optional[Exception] = None  # of a request that failed, expired or lost its last core

    @staticmethod
    def made(
        arrays: Arrays, shape: Shape, now_s: float, deadline_s: Optional[float], batch_wait_s: float
    ) -> Request:
        """A request that arrives now."""
        expires_s = math.inf if deadline_s is None else now_s + deadline_s
        # The wait for a larger batch takes half of the deadline at most.
        due_s = now_s + min(batch_wait_s, (expires_s - now_s) / 2)
        return Request(arrays, shape, Pending(), now_s, due_s, expires_s)

    def claim(self) -> bool:
        """False if the caller has cancelled the request; a claimed request cannot be cancelled."""
        if not self.claimed:
            self.claimed = self.future.set_running_or_notify_cancel()
        return self.claimed

    def cancelled(self) -> bool:
        """True if the caller has cancelled the request: drop it, and do not ask again."""
        return not self.claimed and self.future.cancelled() and not self.claim()

    def expired(self, now_s: float) -> bool:
        return now_s >= self.expires_s

    def expire(self, now_s: float) -> None:
        """Set the error of a request whose deadline passed before a core was free."""
        reason = "the cores are busy; send less, or allow more time"
        if self.failures:
            cores = ", ".join(f"core {index}" for index in sorted(self.excluded)) or "a core"
            reason = f"{cores} failed it, and it is not tried again; allow more time"
        waited_s, deadline_s = now_s - self.arrived_s, self.expires_s - self.arrived_s
        self.error = ExpiredError(
            f"waited {waited_s:.3f} s, its deadline was {deadline_s:.3f} s: {reason}"
        )

    def answer(self) -> None:
        """Pass outputs or error to the caller. Hold no lock: the caller's callbacks run now."""
        if self.error is not None:
            self.future.set_exception(self.error)
        elif self.outputs is not None:
            self.future.set_result(self.outputs)


def check(
    arrays: Arrays, shape: Shape, deadline_s: Optional[float], shapes: Collection[Shape]
) -> None:
    """Refuse arrays of which no request can be made. Raises NoProgramError or InputError."""
    if shape not in shapes:
        have = ", ".join(known.name for known in shapes)
        raise NoProgramError(f"no program for {shape.name} px; there are {have}")
    if not arrays:
        raise InputError("a request without arrays: expected the program's inputs by name")
    if deadline_s is not None and not deadline_s > 0:
        raise InputError(f"deadline of {deadline_s} s: must be above 0")
