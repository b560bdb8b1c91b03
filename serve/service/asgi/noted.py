"""What a service notes of a request while it answers, for its log and its metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Union

from starlette.types import Scope

_KEY = "noted"


@dataclass
class Noted:
    """Of one request. The strings are from small sets, so that metrics stay small."""

    request_id: str
    method: str
    model: str = ""  # that was found, not what the caller wrote
    kind: str = ""  # class name of the error
    status: Union[int, str] = 0  # of HTTP, 0: nothing was sent yet; or the name of one of gRPC
    sent_bytes: int = 0
    begun_s: float = field(default_factory=time.monotonic)

    @property
    def ms(self) -> float:
        return (time.monotonic() - self.begun_s) * 1e3


def put(scope: Scope, noted: Noted) -> None:
    scope.setdefault("state", {})[_KEY] = noted


def noted_of(scope: Scope) -> Noted:
    """What is noted of a request; of a request that passed no `Record`, a new one."""
    found: Noted = scope.setdefault("state", {}).setdefault(_KEY, Noted("", ""))
    return found
