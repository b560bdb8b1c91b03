"""Counts of requests and their times, by model: what the protocol calls statistics."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Callable
from weakref import WeakKeyDictionary

from serve.service.model import Model
from serve.service.v2.request import VERSION

# Names of the protocol, and what of our times each of them is.
_TIMES = {
    "queue": "wait",
    "compute_input": "read",
    "compute_infer": "network",
    "compute_output": "output",
}


@dataclass
class _Counts:
    images: int = 0
    succeeded: int = 0
    failed: int = 0
    succeeded_ns: int = 0
    failed_ns: int = 0
    last_ms: int = 0  # since 1970
    spent_ns: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_TIMES, 0))


Took = Callable[[int, Mapping[str, float]], None]  # images of a request, and its times in ms


class Statistics:
    """Counts of the models that live. Safe in any thread."""

    def __init__(self) -> None:
        self._counts: WeakKeyDictionary[Model, _Counts] = WeakKeyDictionary()
        self._lock = Lock()

    @contextmanager
    def request(self, model: Model) -> Iterator[Took]:
        """Counts a request of a model, as failed unless the block calls what it is given."""
        begun_ns = time.monotonic_ns()
        done: list[tuple[int, Mapping[str, float]]] = []
        try:
            yield lambda images, timing_ms: done.append((images, timing_ms))
        finally:
            with self._lock:
                counts = self._counts.setdefault(model, _Counts())
                _add(counts, time.monotonic_ns() - begun_ns, done)

    def of(self, model: Model) -> dict[str, Any]:
        """The statistics of a model as the protocol has them, durations in nanoseconds."""
        with self._lock:
            counts = self._counts.setdefault(model, _Counts())
            spent = {
                name: {"count": counts.succeeded, "ns": counts.spent_ns[name]} for name in _TIMES
            }
            return {
                "name": model.name,
                "version": VERSION,
                "last_inference": counts.last_ms,
                "inference_count": counts.images,
                "execution_count": counts.images,
                "inference_stats": {
                    "success": {"count": counts.succeeded, "ns": counts.succeeded_ns},
                    "fail": {"count": counts.failed, "ns": counts.failed_ns},
                    **spent,
                },
                "batch_stats": [],
            }


def _add(counts: _Counts, took_ns: int, done: list[tuple[int, Mapping[str, float]]]) -> None:
    if not done:
        counts.failed += 1
        counts.failed_ns += took_ns
        return
    images, timing_ms = done[0]
    counts.images += images
    counts.succeeded += 1
    counts.succeeded_ns += took_ns
    counts.last_ms = int(time.time() * 1e3)
    for name, ours in _TIMES.items():
        counts.spent_ns[name] += int(timing_ms.get(ours, 0.0) * 1e6)
