"""What a failure means for the requests of the run and for its core, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Optional

from serve.errors import Action, ProgramError
from serve.scheduling.core import Core, action_of
from serve.scheduling.request import Answer, Request

RETRIES = 2  # after the first try; then the request is answered with the error
HANGS = 2  # a request that hung this many cores is not given another
REOPEN_AFTER = 3  # failures of a core in a row
REMOVE_AFTER = 6
REST_S = 0.05  # of a core whose device says that it has too much to do


NO_FAULT_OF_CORE = (Action.REQUEST_FAULT, Action.ARTIFACT_FAULT)


class OnRequests(Enum):
    AGAIN = "again"  # elsewhere, a limited number of times
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
    None: Response(OnRequests.AGAIN, OnCore.KEEP, suspect=True),
    Action.RETRY: Response(OnRequests.AGAIN, OnCore.KEEP, suspect=True),
    Action.BACK_PRESSURE: Response(OnRequests.AGAIN, OnCore.REST),
    Action.UNLOAD: Response(OnRequests.AGAIN, OnCore.KEEP),  # it had nothing left to unload
    Action.RECYCLE: Response(OnRequests.AGAIN, OnCore.REOPEN, suspect=True),
    Action.REPLACE: Response(OnRequests.AGAIN, OnCore.REMOVE),
    Action.REQUEST_FAULT: Response(OnRequests.SPLIT, OnCore.KEEP),
    Action.ARTIFACT_FAULT: Response(OnRequests.ANSWER, OnCore.KEEP),
}


def on_core(core: Core, error: Exception) -> OnCore:
    """What to do with a core whose run or load failed; worse the more often it failed in a row."""
    response = RESPONSES[action_of(error)]
    if response.suspect:
        core.failures += 1
        if core.failures >= REMOVE_AFTER:
            return OnCore.REMOVE
        if core.failures >= REOPEN_AFTER:
            return OnCore.REOPEN
    return response.core


@dataclass(frozen=True)
class Sorted:
    """The requests of a failed run: those to try again, and answers for the others."""

    again: list[Request]
    answers: list[Answer]


def after_failure(requests: Sequence[Request], core: Core, error: Exception) -> Sorted:
    """Who is tried again after an error. Marks the requests with what happened to them."""
    response = RESPONSES[action_of(error)]
    if response.requests is OnRequests.SPLIT and len(requests) > 1:
        for request in requests:
            request.alone = True
        return Sorted(list(requests), [])
    again = []
    for request in requests:
        request.failures += 1
        if response.core is not OnCore.REST:
            request.avoid |= {core.index}
        if response.requests is OnRequests.AGAIN and request.failures <= RETRIES:
            again.append(request)
    return _sorted(requests, again, core, error)


def after_hang(requests: Sequence[Request], core: Core, timeout_s: float) -> Sorted:
    """Who is tried again after a core gave no answer in time."""
    for request in requests:
        request.hangs += 1
        request.failures += 1
        request.avoid |= {core.index}
    again = [request for request in requests if request.hangs < HANGS]
    error = ProgramError(f"no answer within {timeout_s:g} s", action=Action.REPLACE)
    return _sorted(requests, again, core, error)


def _sorted(
    requests: Sequence[Request], again: list[Request], core: Core, error: Exception
) -> Sorted:
    tried_again = set(map(id, again))
    answered = [request for request in requests if id(request) not in tried_again]
    return Sorted(again, [Answer(r, error=_told(r, core, error)) for r in answered])


def _told(request: Request, core: Core, error: Exception) -> ProgramError:
    """An error of its own for each request: raising one object in several threads mixes them."""
    action = action_of(error)
    where = "" if action in NO_FAULT_OF_CORE else f"core {core.index}: "
    if request.failures > 1:
        where = f"tried {request.failures} times, last on core {core.index}: "
    told = ProgramError(f"{where}{error}", action)
    told.__cause__ = error
    return told
