"""Depth from Python: images in, results out, one or a list or an endless stream of them.

with DepthPipeline("artifacts/NAME") as pipeline:
    depth = pipeline("a.jpg").depth.values
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Callable, Literal, Optional, Union, overload

from depth.errors import InputError
from depth.fitting.fitter import Fitter, fitter_of, many_of
from depth.images.given import COLOUR_ORDERS, RGB, Given, Held, hold
from depth.maps.result import FULL
from depth.preprocess import REFERENCE
from depth.sizes import Size, SizeRule
from depth.steps.focal import FocalAsked, Matrix
from serve.backend import OpenBackend, open_backend
from serve.engine import Engine
from serve.errors import ClosedError, OutOfServiceError
from serve.jobs.stage import Asked, ImageResult, Stage
from serve.jobs.threads import each_async, in_order
from serve.library import Build
from serve.shapes import EXACT
from serve.sources import Place, check_choice, library_of

__all__ = ["ON_ERROR", "RAISE", "RETURN", "DepthPipeline", "FocalAsked", "ImageResult", "Outcome"]

RAISE: Literal["raise"] = "raise"
RETURN: Literal["return"] = "return"
ON_ERROR = (RAISE, RETURN)

Outcome = Union[ImageResult, Exception]  # an exception with errors="return" only
_Many = Union[list[Any], tuple[Any, ...]]
_Work = Callable[[Held, float], Outcome]
_Stream = Union[Iterable[Given], AsyncIterable[Given]]
_Raise = Literal["raise"]
_Time = Optional[float]
_Focal = Optional[FocalAsked]


class DepthPipeline(AbstractContextManager["DepthPipeline"]):
    """Depth of images through the programs of artifacts. Safe in any thread.

    source         folder of an artifact, several folders, a store, or a callable that builds
    alias          of the artifact in the store, or its identity
    endpoint_url   of an S3 server other than AWS
    folder         where artifacts of a store are kept
    colour_order   of arrays: `rgb` or `bgr`
    remark         added to the notes of every result
    stand_in       the model, if it replaces the one that was asked for; goes into every result
    fit            measured depth of every image, a path as of `--fit`; or what `fitter_of` of
                   depth/fitting/fitter.py makes of it
    focal_px, fov_deg, intrinsics   the camera, unless a call names it; see depth/steps/focal.py
    allow_unverified                serve what was never measured on its device
    one_at_a_time                   a CPU gives all its cores to one image, not to two
    engine                          makes the engine; that of serve/panoramas/ takes panoramas

    The other options are those of `Engine`. A source that builds needs `size_rule` or `sizes`. An
    image is a path, bytes of a file, a PIL image or a uint8 array [H,W,3]. Options of calls:

    errors      `raise`, or `return` to get the exception of an image in place of its result
    deadline_s  the network has to begin by then, counted from the call, or of a stream from when
                its image is taken; else ExpiredError
    focal       the camera of these images, a FocalAsked

    ClosedError and OutOfServiceError are always raised: no further image can be done. Raises
    InputError for unknown options, and what reading artifacts and stores raises.
    """

    def __init__(
        self,
        source: Union[Place, Sequence[Place], Build],
        *,
        alias: Optional[str] = None,
        endpoint_url: Optional[str] = None,
        folder: Place = "artifacts",
        policy: str = EXACT,
        size_rule: Optional[SizeRule] = None,
        sizes: Collection[Size] = (),
        preprocess: str = REFERENCE,
        output_size: str = FULL,
        focal_px: Optional[float] = None,
        fov_deg: Optional[float] = None,
        intrinsics: Optional[Matrix] = None,
        colour_order: str = RGB,
        remark: str = "",
        stand_in: str = "",
        fit: Union[Place, Fitter, None] = None,
        allow_unverified: bool = False,
        one_at_a_time: bool = False,
        backend: OpenBackend = open_backend,
        engine: Callable[..., Engine] = Engine,
    ) -> None:
        check_choice("colour order", colour_order, COLOUR_ORDERS)
        self._fit = None if fit is None else many_of(fitter_of(fit))
        focal = FocalAsked(focal_px, fov_deg, intrinsics)
        library = library_of(source, alias, Path(folder), endpoint_url, allow_unverified)
        sized = policy, size_rule, sizes, preprocess, output_size
        opened = engine(library, *sized, focal, backend)
        self.stage = Stage(opened, sizes, remark, one_at_a_time, stand_in=stand_in)
        self._colour_order = colour_order

    @overload
    def __call__(
        self, images: _Many, *, errors: _Raise = ..., deadline_s: _Time = ..., focal: _Focal = ...
    ) -> list[ImageResult]: ...
    @overload
    def __call__(
        self, images: _Many, *, errors: str, deadline_s: _Time = ..., focal: _Focal = ...
    ) -> list[Outcome]: ...
    @overload
    def __call__(
        self, images: Given, *, errors: _Raise = ..., deadline_s: _Time = ..., focal: _Focal = ...
    ) -> ImageResult: ...
    @overload
    def __call__(
        self, images: Given, *, errors: str, deadline_s: _Time = ..., focal: _Focal = ...
    ) -> Outcome: ...
    def __call__(
        self,
        images: Any,
        *,
        errors: str = RAISE,
        deadline_s: Optional[float] = None,
        focal: Optional[FocalAsked] = None,
    ) -> Union[Outcome, Sequence[Outcome]]:
        """The result of an image, or of a list of images in the list's order."""
        if isinstance(images, (list, tuple)):
            return list(self.stream(images, errors=errors, deadline_s=deadline_s, focal=focal))
        return self._work(errors, deadline_s, focal)(self._hold(images), time.monotonic())

    @overload
    def stream(
        self,
        images: Iterable[Given],
        *,
        errors: _Raise = ...,
        deadline_s: _Time = ...,
        focal: _Focal = ...,
    ) -> Generator[ImageResult, None, None]: ...
    @overload
    def stream(
        self, images: Iterable[Given], *, errors: str, deadline_s: _Time = ..., focal: _Focal = ...
    ) -> Generator[Outcome, None, None]: ...
    def stream(
        self,
        images: Iterable[Given],
        *,
        errors: str = RAISE,
        deadline_s: Optional[float] = None,
        focal: Optional[FocalAsked] = None,
    ) -> Generator[Any, None, None]:
        """Results in the order of the images. Takes a bounded number of images ahead.

        Closing the generator drops images that have not begun, and waits for the others. Raises
        what `images` raises.
        """
        return self._streamed(images, self._work(errors, deadline_s, focal))

    def _streamed(self, images: Iterable[Given], work: _Work) -> Generator[Outcome, None, None]:
        taken = ((self._hold(image), time.monotonic()) for image in images)
        yield from in_order(taken, lambda each: work(*each), self.stage.images_at_once())

    @overload
    async def async_run(
        self, image: Given, *, errors: _Raise = ..., deadline_s: _Time = ..., focal: _Focal = ...
    ) -> ImageResult: ...
    @overload
    async def async_run(
        self, image: Given, *, errors: str, deadline_s: _Time = ..., focal: _Focal = ...
    ) -> Outcome: ...
    async def async_run(
        self,
        image: Given,
        *,
        errors: str = RAISE,
        deadline_s: Optional[float] = None,
        focal: Optional[FocalAsked] = None,
    ) -> Outcome:
        """As a call with one image. Cancelling drops an image that has not begun."""
        work, begun_s = self._work(errors, deadline_s, focal), time.monotonic()
        return await asyncio.to_thread(lambda: work(self._hold(image), begun_s))

    @overload
    def async_stream(
        self, images: _Stream, *, errors: _Raise = ..., deadline_s: _Time = ..., focal: _Focal = ...
    ) -> AsyncGenerator[ImageResult, None]: ...
    @overload
    def async_stream(
        self, images: _Stream, *, errors: str, deadline_s: _Time = ..., focal: _Focal = ...
    ) -> AsyncGenerator[Outcome, None]: ...
    async def async_stream(
        self,
        images: _Stream,
        *,
        errors: str = RAISE,
        deadline_s: Optional[float] = None,
        focal: Optional[FocalAsked] = None,
    ) -> AsyncGenerator[Any, None]:
        """As `stream`, of an iterable, which is called in a thread, or an asynchronous iterable."""
        work = self._work(errors, deadline_s, focal)
        run = asyncio.get_running_loop().run_in_executor
        workers = await asyncio.to_thread(self.stage.images_at_once)
        window: deque[asyncio.Future[Outcome]] = deque()
        pool = ThreadPoolExecutor(workers, "pipeline")
        try:
            async for image in each_async(images):
                begun_s = time.monotonic()
                held = await asyncio.to_thread(self._hold, image)
                window.append(run(pool, work, held, begun_s))
                while window and (len(window) >= 2 * workers or window[0].done()):
                    yield await window.popleft()
            while window:
                yield await window.popleft()
        finally:
            for future in window:
                future.cancel()
            pool.shutdown(wait=False)

    def warm_up(self, sizes: Iterable[Size] = ()) -> None:
        """Make, load and run once the programs for images of these (height, width) px.

        By default the pipeline's `sizes`, or every program that there is. Raises InputError if
        there is none, and as `Engine.make_ready` and `Engine.run`.
        """
        self.stage.warm_up(sizes)

    def close(self) -> None:
        """Take no more work, finish what there is, and give the cores back."""
        self.stage.close()

    async def aclose(self) -> None:
        """As `close`; the loop goes on. Leaving `async with` does this too."""
        await asyncio.to_thread(self.close)

    def __exit__(self, *_raised: object) -> None:
        self.close()

    async def __aenter__(self) -> DepthPipeline:
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self.aclose()

    def _hold(self, image: Given) -> Held:
        return hold(image, self._colour_order)

    def _work(self, errors: str, deadline_s: _Time, focal: _Focal) -> _Work:
        """What makes a result of an image that was taken at a time of time.monotonic()."""
        check_choice("errors", errors, ON_ERROR)
        if deadline_s is not None and not deadline_s > 0:
            raise InputError(f"deadline of {deadline_s} s: must be above 0")

        def work(held: Held, begun_s: float) -> Outcome:
            try:
                asked = Asked(focal, deadline_s=deadline_s, begun_s=begun_s, fit=self._fit)
                return self.stage.result(held, asked)
            except (ClosedError, OutOfServiceError):
                raise
            except Exception as error:
                if errors == RAISE:
                    raise
                return error

        return work
