"""The messages of gRPC calls, which have to arrive in time.

gRPC gives a call its thread before the message is there, and has no limit of its own.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

from depth.errors import InputError
from serve.service.failures import RequestError

_LATE = math.inf
_LOOKS = 4  # at the calls that wait, in the time that each has


class Arrivals:
    """Ends each call whose message does not arrive within `limit_s`. Safe in any thread."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._due_s: dict[Any, float] = {}  # by the context of a call that waits
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Watch the calls from now on, in a thread."""
        threading.Thread(target=self._watch, name="grpc arrivals", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def message(self, requests: Iterator[Any], context: Any) -> Any:
        """The message of a call that has one.

        Raises RequestError (408) if it is late, InputError if there is none, and grpc.RpcError if
        the caller has ended the call.
        """
        with self._lock:
            self._due_s[context] = time.monotonic() + self._limit_s
        try:
            found = next(requests, None)
        finally:
            with self._lock:
                late = self._due_s.pop(context) == _LATE
            if late:
                raise RequestError(408, f"no message within {self._limit_s:g} s; send it faster")
        if found is None:
            raise InputError("the call has no message; this method takes one")
        return found

    def _watch(self) -> None:
        while not self._stopped.wait(self._limit_s / _LOOKS):
            now_s = time.monotonic()
            with self._lock:
                for context, due_s in self._due_s.items():
                    if due_s <= now_s:
                        self._due_s[context] = _LATE
                        context.cancel()
