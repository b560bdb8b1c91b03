"""One request, and the answer that it gets exactly once."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Optional

from depth.artifact.program import Shape
from depth.errors import InputError
from serve.arrays import Arrays
from serve.errors import ExpiredError, NoProgramError


class Pending(Future[Arrays]):
    """Outputs by name to come; once they are there, also how long that took."""

    waited_s = 0.0  # in the queue, for a program to load, and in tries that failed
    ran_s = 0.0  # in the run that gave it, together with what shared its batch


@dataclass(eq=False)
class Request:
    """Times are those of time.monotonic()."""

    arrays: Arrays  # without the batch axis
    shape: Shape
    future: Pending
    arrived_s: float
    due_s: float  # until then it may wait for others, to share a batch
    expires_s: float  # by then it has begun to run, or never does
    avoid: frozenset[int] = frozenset()  # cores that failed it
    failures: int = 0
    hangs: int = 0
    alone: bool = False  # runs in no batch: one of its last batch was at fault
    claimed: bool = False

    def claim(self) -> bool:
        """False if the caller has cancelled it; once claimed, nobody else can."""
        if not self.claimed:
            self.claimed = self.future.set_running_or_notify_cancel()
        return self.claimed

    def given_up(self) -> bool:
        """True if the caller has cancelled it: it must then be dropped, and not be asked again."""
        return not self.claimed and self.future.cancelled() and not self.claim()

    def expired(self, now_s: float) -> bool:
        return now_s >= self.expires_s


def check(
    arrays: Arrays, shape: Shape, deadline_s: Optional[float], shapes: Collection[Shape]
) -> None:
    """Whether a request may be made of this. Raises NoProgramError, or InputError."""
    if shape not in shapes:
        have = ", ".join(each.name for each in shapes)
        raise NoProgramError(f"no program for {shape.name} px; there are {have}")
    if not arrays:
        raise InputError("a request without arrays: expected the program's inputs by name")
    if deadline_s is not None and not deadline_s > 0:
        raise InputError(f"deadline of {deadline_s} s: must be above 0")


@dataclass(frozen=True)
class Answer:
    """What a claimed request is told. Given without any lock held: its caller's code may run."""

    request: Request
    outputs: Optional[Arrays] = None  # without the batch axis
    error: Optional[Exception] = None

    def give(self) -> None:
        if self.error is not None:
            self.request.future.set_exception(self.error)
        elif self.outputs is not None:
            self.request.future.set_result(self.outputs)


def expiry(request: Request, now_s: float) -> Answer:
    """The answer to a request whose deadline passed before a core was free, at first or again."""
    waited_s = now_s - request.arrived_s
    reason = "the cores are busy; send less, or allow more time"
    if request.failures:
        cores = ", ".join(f"core {index}" for index in sorted(request.avoid)) or "a core"
        reason = f"{cores} failed it, and it is not tried again; allow more time"
    deadline_s = request.expires_s - request.arrived_s
    return Answer(
        request,
        error=ExpiredError(
            f"waited {waited_s:.3f} s, its deadline was {deadline_s:.3f} s: {reason}"
        ),
    )
