"""What a failure means for the requests of the run and for its core, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Optional

from serve.errors import Action, ProgramError
from serve.scheduling.core import CoreState
from serve.scheduling.queues import Request
from serve.scheduling.worker import action_of

RETRIES = 2  # after the first try; then the request is answered with the error
HANGS = 2  # a request that hung this many cores does not get another core
REOPEN_AFTER = 3  # failures of a core in a row
REMOVE_AFTER = 6
REST_S = 0.05  # of a core whose device says that it has too much to do
NO_FAULT_OF_CORE = (Action.REQUEST_FAULT, Action.ARTIFACT_FAULT)


class OnRequests(Enum):
    RETRY = "retry"  # elsewhere, a limited number of times
    SPLIT = "split"  # each by itself, to find the one at fault
    ANSWER = "answer"  # with the error


class OnCore(Enum):
    KEEP = "keep"
    REST = "rest"
    REOPEN = "reopen"
    REMOVE = "remove"


@dataclass(frozen=True)
class Response:
    requests: OnRequests
    core: OnCore
    suspect: bool = False  # whether it counts against the core


RESPONSES: dict[Optional[Action], Response] = {
    None: Response(OnRequests.RETRY, OnCore.KEEP, suspect=True),
    Action.RETRY: Response(OnRequests.RETRY, OnCore.KEEP, suspect=True),
    Action.BACK_PRESSURE: Response(OnRequests.RETRY, OnCore.REST),
    Action.UNLOAD: Response(OnRequests.RETRY, OnCore.KEEP),  # nothing was left to unload
    Action.RECYCLE: Response(OnRequests.RETRY, OnCore.REOPEN, suspect=True),
    Action.REPLACE: Response(OnRequests.RETRY, OnCore.REMOVE),
    Action.REQUEST_FAULT: Response(OnRequests.SPLIT, OnCore.KEEP),
    Action.ARTIFACT_FAULT: Response(OnRequests.ANSWER, OnCore.KEEP),
}


def on_core(core: CoreState, error: Exception) -> OnCore:
    """What to do with a core whose run or load failed; worse the more often it failed in a row."""
    response = RESPONSES[action_of(error)]
    if response.suspect:
        core.failures += 1
        if core.failures >= REMOVE_AFTER:
            return OnCore.REMOVE
        if core.failures >= REOPEN_AFTER:
            return OnCore.REOPEN
    return response.core


def after_failure(requests: Sequence[Request], core: CoreState, error: Exception) -> None:
    """Count an error of a run against its requests; those without `error` are to be requeued."""
    response = RESPONSES[action_of(error)]
    if response.requests is OnRequests.SPLIT and len(requests) > 1:
        for request in requests:
            request.alone = True
        return
    for request in requests:
        request.failures += 1
        if response.core is not OnCore.REST:
            request.excluded |= {core.index}
        if response.requests is not OnRequests.RETRY or request.failures > RETRIES:
            request.error = _error_of(request, core, error)


def after_hang(requests: Sequence[Request], core: CoreState, timeout_s: float) -> None:
    """The same for a core that gave no answer in time."""
    error = ProgramError(f"no answer within {timeout_s:g} s", action=Action.REPLACE)
    for request in requests:
        request.hangs += 1
        request.failures += 1
        request.excluded |= {core.index}
        if request.hangs >= HANGS:
            request.error = _error_of(request, core, error)


def _error_of(request: Request, core: CoreState, error: Exception) -> ProgramError:
    """A new error for each request: raising one object in several threads mixes tracebacks."""
    action = action_of(error)
    where = "" if action in NO_FAULT_OF_CORE else f"core {core.index}: "
    if request.failures > 1:
        where = f"tried {request.failures} times, last on core {core.index}: "
    own = ProgramError(f"{where}{error}", action)
    own.__cause__ = error
    return own
