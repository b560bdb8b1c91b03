"""The metrics of a service for Prometheus. Labels have few values: no caller can add any."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serve.service.asgi.noted import Noted
from serve.service.model import Model

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
HTTP, GRPC = "http", "grpc"  # transports
_PROC = Path("/proc/self")


class Metrics:
    """Of one service, in a registry of its own. Safe in any thread.

    models      the models that answer now
    held_bytes  what bodies and answers take in memory
    """

    def __init__(
        self, models: Callable[[], Iterable[Model]], held_bytes: Callable[[], int]
    ) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "depth_requests",
            "Requests answered; 499: the caller went away.",
            ["transport", "method", "path", "status", "model"],
            registry=registry,
        )
        self._errors = Counter(
            "depth_errors", "Errors by their class.", ["kind"], registry=registry
        )
        self._total = Histogram(
            "depth_request_seconds",
            "From the headers of a request to the end of its answer.",
            ["transport", "path"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "depth_stage_seconds",
            "Time of an image in a stage: queue, read, wait, network, encode.",
            ["model", "stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._open = Gauge(
            "depth_open_requests",
            "Requests that are being answered.",
            ["transport"],
            registry=registry,
        )
        held = Gauge("depth_held_bytes", "Bodies and answers in memory.", registry=registry)
        held.set_function(held_bytes)
        registry.register(_Models(models))
        registry.register(_Process())

    @contextmanager
    def open_request(self, transport: str) -> Iterator[None]:
        """Counts a request as open until the end of `with`. `transport`: HTTP or GRPC."""
        gauge = self._open.labels(transport)
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    def request(self, transport: str, method: str, path: str, noted: Noted) -> None:
        """Count a request that is over."""
        self._requests.labels(transport, method, path, str(noted.status), noted.model).inc()
        self._total.labels(transport, path).observe(noted.ms / 1e3)
        if noted.kind:
            self._errors.labels(noted.kind).inc()

    def stages(self, model: str, timing_ms: Mapping[str, float]) -> None:
        """Note how long the stages of an image took."""
        for stage, ms in timing_ms.items():
            self._stages.labels(model, stage).observe(ms / 1e3)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self._registry)


class _Models(Collector):
    """Queues, batches and cores of each model, read when asked."""

    def __init__(self, models: Callable[[], Iterable[Model]]) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        waiting = _gauge("depth_queue_depth", "Requests that wait for a thread.", "model")
        running = _gauge("depth_running", "Requests that a thread works on.", "model")
        ready = _gauge("depth_model_ready", "1 once every program has run.", "model")
        cores = _gauge("depth_cores_in_service", "Cores that work.", "model")
        batches = _counter("depth_batches", "Runs on a core by their images.", "model", "images")
        busy = _counter("depth_core_busy_seconds", "Time a core has run.", "model", "core")
        retries = _counter("depth_retries", "Images run again after a failure.", "model")
        for model in self._models():
            name = [model.name]
            waiting.add_metric(name, model.waiting)
            running.add_metric(name, model.running)
            ready.add_metric(name, model.ready)
            seen = model.snapshot()
            if seen is not None:
                cores.add_metric(name, seen.cores_in_service)
                retries.add_metric(name, seen.retries)
                for images, count in seen.batches.items():
                    batches.add_metric([*name, str(images)], count)
                for core, busy_s in enumerate(seen.busy_s):
                    busy.add_metric([*name, str(core)], busy_s)
        yield from (waiting, running, ready, cores, batches, busy, retries)


class _Process(Collector):
    """Memory and descriptors of this process, as far as the system tells."""

    def collect(self) -> Iterator[Metric]:
        with suppress(OSError, ValueError, IndexError):
            pages = int((_PROC / "statm").read_text().split()[1])
            memory = _gauge("depth_resident_bytes", "Memory of the process.")
            memory.add_metric([], pages * os.sysconf("SC_PAGE_SIZE"))
            yield memory
        with suppress(OSError):
            descriptors = _gauge("depth_open_descriptors", "Open files and sockets.")
            descriptors.add_metric([], len(os.listdir(_PROC / "fd")))  # noqa: PTH208
            yield descriptors


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, labels=labels)
