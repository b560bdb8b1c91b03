"""The service as its doors see it: models, limits, and an image in, an answer out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Optional, TypeVar

from depth.family import DEPTH
from depth.images.given import Held
from serve.jobs.stage import Asked
from serve.service.answers import Answer, answer_of
from serve.service.bodies import Bodies
from serve.service.models import Models
from serve.service.settings import Settings

Done = TypeVar("Done")


@dataclass(frozen=True)
class Wanted:
    """What a request wants of an image.

    model  by name; None is the default
    form   one of serve.service.answers.FORMS
    map    depth, sky, confidence
    """

    model: Optional[str] = None
    form: str = "png"
    map: str = DEPTH
    asked: Asked = field(default_factory=Asked)


class Service:
    """What every door of the service shares."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models = models
        self.settings = settings
        self.bodies = Bodies(settings)
        self.draining = False

    @property
    def ready(self) -> bool:
        return self.models.ready and not self.draining

    async def answer(self, held: Held, wanted: Wanted, gone: Awaitable[object]) -> Answer:
        """The answer for an image. Work that has not begun is dropped once `gone` is done.

        Raises what the table in failures.py names.
        """
        with self.models.use(wanted.model) as model:

            def work() -> Answer:
                return model.stage.through(
                    held,
                    wanted.asked,
                    lambda result, pixels: answer_of(result, pixels, wanted.form, wanted.map),
                )

            return await unless(gone, asyncio.wrap_future(model.submit(work)))


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
