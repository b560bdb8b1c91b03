"""One image that waits for its depth, and the answer that it gets exactly once."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Optional

import numpy as np

from depth.errors import InputError
from depth.maps.depth_map import FloatArray
from serve.errors import Expired, NoProgram
from serve.library import Size


class Pending(Future[FloatArray]):
    """Depth [H,W] to come; once it is there, also how long that took."""

    waited_s = 0.0  # in the queue, for a program to load, and in tries that failed
    ran_s = 0.0  # in the run that gave it, together with what shared its batch


@dataclass(eq=False)
class Request:
    """Times are those of time.monotonic()."""

    image: FloatArray  # [3,H,W]
    size: Size
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
    tensor: FloatArray, size: Size, deadline_s: Optional[float], sizes: Collection[Size]
) -> None:
    """Whether a request may be made of this. Raises NoProgram, or InputError."""
    if size not in sizes:
        have = ", ".join(f"{h}x{w}" for h, w in sizes)
        raise NoProgram(f"no program for {size[0]}x{size[1]} px; there are {have}")
    if tensor.shape != (3, *size) or tensor.dtype != np.float32:
        raise InputError(
            f"expected float32 of shape {[3, *size]}, got {tensor.dtype} {list(tensor.shape)}"
        )
    if deadline_s is not None and not deadline_s > 0:
        raise InputError(f"deadline of {deadline_s} s: must be above 0")


@dataclass(frozen=True)
class Answer:
    """What a claimed request is told. Given without any lock held: its caller's code may run."""

    request: Request
    depth: Optional[FloatArray] = None  # [H,W]
    error: Optional[Exception] = None

    def give(self) -> None:
        if self.error is not None:
            self.request.future.set_exception(self.error)
        elif self.depth is not None:
            self.request.future.set_result(self.depth)


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
        error=Expired(f"waited {waited_s:.3f} s, its deadline was {deadline_s:.3f} s: {reason}"),
    )
