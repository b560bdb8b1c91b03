"""Depth from Python: images in, results out, one or a list or an endless stream of them.

with DepthPipeline("artifacts/NAME") as pipeline:
    depth = pipeline("a.jpg").depth.values
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Callable, Optional, Union, overload

import numpy as np

from depth.errors import InputError
from depth.images.given import COLOUR_ORDERS, RGB, Given, Held, hold
from depth.images.read import ImageFile, decode
from depth.maps.files import write_result
from depth.maps.result import FULL, Result
from depth.preprocess import REFERENCE
from depth.sizes import Size, SizeRule
from depth.steps.focal import FocalAsked, Matrix
from serve.backend import CPU_STREAMS, OpenBackend, open_backend
from serve.engine import MANY, Engine
from serve.errors import ClosedError, ExpiredError, OutOfServiceError
from serve.jobs.memory import Room
from serve.jobs.threads import each_async
from serve.library import Build
from serve.runtimes.neuron_cores import check_same_process
from serve.shapes import EXACT
from serve.sources import Place, check_choice, library_of

RAISE, RETURN = "raise", "return"
ON_ERROR = (RAISE, RETURN)


@dataclass(frozen=True)
class ImageResult(Result):
    """A result that knows its image. `source` stands in the .json: path, size, sha256, notes."""

    source: dict[str, Any] = field(default_factory=dict)

    def save(self, stem: Place, formats: Sequence[str] = ("png",)) -> list[Path]:
        """Write `<stem>.<format>` and `<stem>.json`; returns their paths. Raises as `write_result`.

        formats  of depth/maps/formats.py: png, npy, npz, pfm, exr, tiff
        """
        return write_result(self, Path(stem), formats, self.source)


Outcome = Union[ImageResult, Exception]  # an exception with errors="return" only
_Many = Union[list[Any], tuple[Any, ...]]
_Work = Callable[[Held, float], Outcome]


class DepthPipeline(AbstractContextManager["DepthPipeline"]):
    """Depth of images through the programs of artifacts. Safe in any thread.

    source         folder of an artifact, several folders, a store, or a callable that builds
    alias          of the artifact in the store, or its identity
    endpoint_url   of an S3 server other than AWS
    folder         where artifacts of a store are kept
    colour_order   of arrays: `rgb` or `bgr`
    remark         added to the notes of every result
    focal_px, fov_deg, intrinsics   the camera of every image; see depth/steps/focal.py
    allow_unverified                serve what was never measured on its device
    one_at_a_time                   a CPU gives all its cores to one image, not to two

    The other options are those of `Engine`. A source that builds needs `size_rule` or `sizes`. An
    image is a path, bytes of a file, a PIL image or a uint8 array [H,W,3]. Options of calls:

    errors      `raise`, or `return` to get the exception of an image in place of its result
    deadline_s  the network has to begin by then, counted from the call, or of a stream from when
                its image is taken; else ExpiredError

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
        allow_unverified: bool = False,
        one_at_a_time: bool = False,
        backend: OpenBackend = open_backend,
    ) -> None:
        check_choice("colour order", colour_order, COLOUR_ORDERS)
        focal = FocalAsked(focal_px, fov_deg, intrinsics)
        library = library_of(source, alias, Path(folder), endpoint_url, allow_unverified)
        engine = Engine(library, policy, size_rule, sizes, preprocess, output_size, focal, backend)
        self._engine = engine
        self._sizes = list(sizes)
        self._streams = 1 if one_at_a_time else CPU_STREAMS
        self._colour_order = colour_order
        self._remark = remark
        self._room = Room()
        self._ready: set[Size] = set()  # sizes whose programs are made
        self._making = Lock()
        self._pid: Optional[int] = None  # of the process that has used the engine
        self._closed = False

    @overload
    def __call__(self, images: Given, *, deadline_s: Optional[float] = None) -> ImageResult: ...
    @overload
    def __call__(
        self, images: Given, *, errors: str, deadline_s: Optional[float] = None
    ) -> Outcome: ...
    @overload
    def __call__(
        self, images: _Many, *, errors: str = RAISE, deadline_s: Optional[float] = None
    ) -> list[Outcome]: ...
    def __call__(
        self, images: Any, *, errors: str = RAISE, deadline_s: Optional[float] = None
    ) -> Union[Outcome, list[Outcome]]:
        """The result of an image, or of a list of images in the list's order."""
        if isinstance(images, (list, tuple)):
            return list(self.stream(images, errors=errors, deadline_s=deadline_s))
        return self._work(errors, deadline_s)(self._hold(images), time.monotonic())

    def stream(
        self, images: Iterable[Given], *, errors: str = RAISE, deadline_s: Optional[float] = None
    ) -> Generator[Outcome, None, None]:
        """Results in the order of the images. Takes a bounded number of images ahead.

        Closing the generator drops images that have not begun, and waits for the others. Raises
        what `images` raises.
        """
        return self._streamed(images, self._work(errors, deadline_s))

    def _streamed(self, images: Iterable[Given], work: _Work) -> Generator[Outcome, None, None]:
        workers = self._images_at_once()
        window: deque[Future[Outcome]] = deque()
        with ThreadPoolExecutor(workers, "pipeline") as pool:
            try:
                for image in images:
                    window.append(pool.submit(work, self._hold(image), time.monotonic()))
                    while window and (len(window) >= 2 * workers or window[0].done()):
                        yield window.popleft().result()
                while window:
                    yield window.popleft().result()
            finally:
                for future in window:
                    future.cancel()

    async def async_run(
        self, image: Given, *, errors: str = RAISE, deadline_s: Optional[float] = None
    ) -> Outcome:
        """As a call with one image. Cancelling drops an image that has not begun."""
        work, begun_s = self._work(errors, deadline_s), time.monotonic()
        return await asyncio.to_thread(lambda: work(self._hold(image), begun_s))

    async def async_stream(
        self,
        images: Union[Iterable[Given], AsyncIterable[Given]],
        *,
        errors: str = RAISE,
        deadline_s: Optional[float] = None,
    ) -> AsyncGenerator[Outcome, None]:
        """As `stream`, of an iterable, which is called in a thread, or an asynchronous iterable."""
        work, run = self._work(errors, deadline_s), asyncio.get_running_loop().run_in_executor
        workers = await asyncio.to_thread(self._images_at_once)
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
        wanted = list(sizes) or self._sizes or self._engine.library.sizes
        if not wanted:
            raise InputError("no program is made yet: name the (height, width) px of your images")
        self._make_ready({self._engine.size_for(*size) for size in wanted})
        for size in wanted:
            self._one(hold(np.zeros((*size, 3), np.uint8)), None, 0.0)

    def close(self) -> None:
        """Take no more work, finish what there is, and give the cores back."""
        self._closed = True
        self._engine.close()

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def _hold(self, image: Given) -> Held:
        return hold(image, self._colour_order)

    def _work(self, errors: str, deadline_s: Optional[float]) -> _Work:
        """What makes a result of an image that was taken at a time of time.monotonic()."""
        check_choice("errors", errors, ON_ERROR)
        if deadline_s is not None and not deadline_s > 0:
            raise InputError(f"deadline of {deadline_s} s: must be above 0")

        def work(held: Held, begun_s: float) -> Outcome:
            try:
                return self._one(held, deadline_s, begun_s)
            except (ClosedError, OutOfServiceError):
                raise
            except Exception as error:
                if errors == RAISE:
                    raise
                return error

        return work

    def _one(self, held: Held, deadline_s: Optional[float], begun_s: float) -> ImageResult:
        self._check_usable()
        engine, opened = self._engine, held.open()
        header = opened.header
        size = engine.size_for(header.height_px, header.width_px)
        self._make_ready({size})
        with self._room.taken(header):
            source = decode(opened, engine.needed) if isinstance(opened, ImageFile) else opened
            prepared = engine.prepare(source, size=size)
            result = engine.finish(engine.run(prepared, _left_s(deadline_s, begun_s)))
        facts = {
            "path": held.path,
            "sha256": source.sha256 or None,
            "width_px": header.width_px,
            "height_px": header.height_px,
            "notes": [*source.notes, *([self._remark] if self._remark else [])],
        }
        return ImageResult(result.maps, result.provenance, result.focal, facts)

    def _make_ready(self, sizes: set[Size]) -> None:
        if not sizes <= self._ready:
            with self._making:
                self._pid = os.getpid()
                self._engine.make_ready(sizes - self._ready, 1 if self._streams == 1 else MANY)
                self._ready |= sizes

    def _check_usable(self) -> None:
        if self._closed:
            raise ClosedError("the pipeline is closed and takes no more work")
        if self._pid is not None:
            check_same_process(self._pid)  # before a lock that the owner may have held

    def _images_at_once(self) -> int:
        """How many images under way keep cores and host busy; what is built runs on a CPU."""
        self._check_usable()
        if self._streams == 1 or not self._engine.library.sizes:
            return 2 * self._streams
        return self._engine.images_at_once


def _left_s(deadline_s: Optional[float], begun_s: float) -> Optional[float]:
    """What is left of a deadline. Raises ExpiredError if nothing is."""
    if deadline_s is None:
        return None
    waited_s = time.monotonic() - begun_s
    if waited_s >= deadline_s:
        raise ExpiredError(
            f"waited {waited_s:.3f} s, its deadline was {deadline_s:.3f} s: reading the image, or "
            "making its program, took too long; call `warm_up` first, or allow more time"
        )
    return deadline_s - waited_s
