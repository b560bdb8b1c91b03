"""The service as its doors see it: models, limits, and an image in, an answer out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Optional, TypeVar

from depth.family import DEPTH
from depth.images.given import Held
from serve.jobs.stage import Asked, ImageResult, Pixels
from serve.service.answers import Answer, answer_of, preset_answer
from serve.service.asgi.metrics import Metrics
from serve.service.batches.jobs import Jobs
from serve.service.batches.worker import Worker
from serve.service.bodies import Bodies
from serve.service.models import Models
from serve.service.scenes.backend import Backend
from serve.service.settings import Settings
from serve.service.v2.repository import Repository
from serve.service.v2.statistics import Statistics

Done = TypeVar("Done")


@dataclass(frozen=True)
class Wanted:
    """What a request wants of an image.

    model  by name; None is the default
    form   one of serve.service.answers.FORMS
    map    depth, sky, confidence
    palette  of a preview
    """

    model: Optional[str] = None
    form: str = "png"
    map: str = DEPTH
    asked: Asked = field(default_factory=Asked)
    palette: Optional[str] = None
    preset: Optional[str] = None  # instead of a form and a map


class Service:
    """What every door of the service shares. Raises as `Jobs` for its folder of jobs.

    backend  makes scenes; None: the service has no such paths
    """

    def __init__(
        self,
        models: Models,
        settings: Settings,
        repository: Optional[Repository] = None,
        backend: Optional[Backend] = None,
    ) -> None:
        self.models = models
        self.settings = settings
        self.repository = repository or Repository(models)
        self.statistics = Statistics()
        self.bodies = Bodies(settings)
        self.backend = backend
        self.draining = False
        self.jobs = None if settings.jobs is None else Jobs(settings.jobs)
        self._worker: Optional[Worker] = None
        self.metrics = Metrics(lambda: models.all, lambda: self.bodies.held_bytes)

    @property
    def status(self) -> str:
        """`ready`, or why it is not: `draining`, `loading`, `out of service`."""
        if self.draining:
            return "draining"
        backend = self.backend
        only_scenes = backend is not None and backend.alone
        if self.repository.starting or not (self.models.ready or only_scenes):
            return "loading"
        if backend is not None and not backend.ready:
            return "loading"
        return "ready" if all(model.works for model in self.models.all) else "out of service"

    def start(self) -> None:
        """Begin with jobs and tasks; every model has its name now.

        Raises what loading the model of scenes raises.
        """
        if self.jobs is not None:
            self._worker = Worker(self.jobs, self.models)
            self._worker.start()
        if self.backend is not None:
            self.backend.start()

    def close(self) -> None:
        """Finish what was accepted. Jobs and tasks go on when a service has their folder again."""
        if self._worker is not None:
            self._worker.close()
        if self.backend is not None:
            self.backend.close()
        self.repository.close()
        self.models.close()
        if self.jobs is not None:
            self.jobs.close()

    async def answer(self, held: Held, wanted: Wanted, gone: Awaitable[object]) -> Answer:
        """The answer for an image. Work that has not begun is dropped once `gone` is done.

        Raises what the table in failures.py names.
        """
        with self.models.use(wanted.model) as model:
            submitted_s, begun_s = time.monotonic(), 0.0

            def work() -> Answer:
                nonlocal begun_s
                begun_s = time.monotonic()
                return model.stage.through(held, wanted.asked, answered)

            def answered(result: ImageResult, pixels: Pixels) -> Answer:
                camera = wanted.asked.focal
                if wanted.preset is not None:
                    return preset_answer(result, pixels, wanted.preset, camera)
                return answer_of(result, pixels, wanted.form, wanted.map, wanted.palette, camera)

            answer = await unless(gone, asyncio.wrap_future(model.submit(work)))
            queue_ms = (begun_s - submitted_s) * 1e3
            self.metrics.stages(model.name, {"queue": queue_ms, **answer.timing_ms})
            return answer


class GoneError(Exception):
    """The caller went away before its answer was made."""


async def unless(gone: Awaitable[object], future: asyncio.Future[Done]) -> Done:
    """The result of `future`; if `gone` is done first, cancels it and raises GoneError."""
    watch: asyncio.Future[object] = asyncio.ensure_future(gone)
    try:
        waiting: set[asyncio.Future[Any]] = {future, watch}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        raise GoneError
    finally:
        future.cancel()
        watch.cancel()
