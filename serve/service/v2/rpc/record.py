"""Counts calls of gRPC in the metrics of the service, as requests of HTTP are counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from serve.service.asgi.metrics import GRPC, Metrics
from serve.service.asgi.noted import Noted
from serve.service.failures import Failure
from serve.service.v2.rpc.messages import SERVICE

OTHER = "other"  # path of calls that no method answers


class CallRecord:
    """Counts calls by the path of their method, and by the name of their status."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @contextmanager
    def call(self, method: str) -> Iterator[Noted]:
        """Counts a call of a method, or OTHER, as answered unless `with` notes a failure."""
        noted = Noted("", "POST", status="OK")
        path = method if method == OTHER else f"/{SERVICE}/{method}"
        with self._metrics.open_request(GRPC):
            try:
                yield noted
            finally:
                self._metrics.request(GRPC, noted.method, path, noted)


def note_failure(noted: Noted, failure: Failure) -> None:
    """Note that a call failed."""
    noted.status, noted.kind = failure.grpc, failure.kind


def note_gone(noted: Noted) -> None:
    """Note that the caller went away."""
    noted.status, noted.kind = "CANCELLED", "GoneError"
