"""Scenes from Python: images in, their depth and cameras out, in one space.

with ScenePipeline("artifacts/NAME") as pipeline:
    scene = pipeline(["left.jpg", "right.jpg"])
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event
from typing import Optional, Union

from depth.errors import InputError
from depth.images.given import COLOUR_ORDERS, RGB, Given
from depth.scenes.inputs import GROUP
from depth.scenes.scene import Scene
from depth.sizes import Size, SizeRule
from serve.backend import OpenBackend, open_backend
from serve.scenes.asked import MOST_VIEWS, GivenUp, OnStep, SceneAsked
from serve.scenes.cache import DEFAULT_BYTES, CacheCounts, PrefixCache
from serve.scenes.engine import SceneEngine
from serve.scenes.images import opened
from serve.scenes.library import BuildScenes, SceneLibrary
from serve.scenes.sequence import SceneSequence, Windows
from serve.scenes.turns import AT_ONCE, WAITING, Turns
from serve.scenes.watch import Wanted
from serve.shapes import EXACT
from serve.sources import Place, artifacts_of, check_choice

__all__ = ["SceneAsked", "ScenePipeline"]

_ANYTHING = SceneAsked()


class ScenePipeline(AbstractContextManager["ScenePipeline"]):
    """Scenes of images through the programs of artifacts. Safe in any thread.

    source            folder of an artifact, several folders, a store, or a callable that builds
    alias             of the artifact in the store, or its identity
    endpoint_url      of an S3 server other than AWS
    folder            where artifacts of a store are kept
    policy            `exact` or `buckets`; see serve/shapes.py
    size_rule, sizes  for a source that builds: what inputs follow, and what `buckets` chooses from
    colour_order      of arrays: `rgb` or `bgr`
    allow_unverified  serve what was never measured on its device
    cache_bytes       of what the first stage says of images; 0 keeps nothing
    at_once, waiting  scenes under way, and further scenes that wait; more get QueueFullError
    backend           what opens the cores

    An image is a path, bytes of a file, a PIL image or a uint8 array [H,W,3]. Raises InputError for
    unknown options, and what reading artifacts and stores raises.
    """

    def __init__(
        self,
        source: Union[Place, Sequence[Place], BuildScenes],
        *,
        alias: Optional[str] = None,
        endpoint_url: Optional[str] = None,
        folder: Place = "artifacts",
        policy: str = EXACT,
        size_rule: Optional[SizeRule] = None,
        sizes: Collection[Size] = (),
        colour_order: str = RGB,
        allow_unverified: bool = False,
        cache_bytes: int = DEFAULT_BYTES,
        at_once: int = AT_ONCE,
        waiting: int = WAITING,
        backend: OpenBackend = open_backend,
    ) -> None:
        check_choice("colour order", colour_order, COLOUR_ORDERS)
        if callable(source):
            library = SceneLibrary((), source, allow_unverified=allow_unverified)
        else:
            artifacts = artifacts_of(source, alias, Path(folder), endpoint_url)
            library = SceneLibrary(artifacts, allow_unverified=allow_unverified)
        cache = PrefixCache(cache_bytes)
        self.engine = SceneEngine(library, policy, size_rule, sizes, cache, backend)
        self.turns = Turns(at_once, waiting)
        self._colour_order = colour_order

    def __call__(
        self,
        images: Sequence[Given],
        asked: SceneAsked = _ANYTHING,
        on_step: Optional[OnStep] = None,
        given_up: Optional[GivenUp] = None,
    ) -> Scene:
        """The scene of images, all of which see each other.

        on_step   told of each step; see serve/scenes/asked.py
        given_up  polled: true ends the scene with GivenUpError

        Raises InputError or ImageError for images, NoProgramError that names the numbers of views
        there are, ProgramError, QueueFullError, ExpiredError, GivenUpError, OutOfServiceError, or
        ClosedError.
        """
        asked.check_compiled()
        if isinstance(images, (str, bytes)) or not 0 < len(images) <= MOST_VIEWS:
            raise InputError(f"images of a scene: expected a list of 1 to {MOST_VIEWS}")
        if asked.mixed != GROUP:
            self.engine.library.check_views(len(images))  # before a file is read
        wanted = Wanted(asked.deadline_s, given_up)
        with self.turns.taken(wanted):
            return self.engine.scene(opened(images, self._colour_order), asked, wanted, on_step)

    def sequence(
        self,
        frames: Iterable[Given],
        asked: SceneAsked = _ANYTHING,
        window: int = 8,
        overlap: int = 4,
        on_step: Optional[OnStep] = None,
        given_up: Optional[GivenUp] = None,
    ) -> Generator[Scene, None, None]:
        """The scenes of windows of frames, all in the space of the first window.

        frames   of one size, in order; an iterator may be endless, and is read window by window
        window   frames that the network sees at once
        overlap  of them, those that the window before had too
        on_step  told of frames that are done

        Each frame is in one of the scenes. The last window is as long as the others, so it shares
        more frames with the window before. Raises as a call, and what `frames` raises.
        """
        asked.check_compiled()
        windows = Windows(window, overlap)
        order = self._colour_order
        return SceneSequence(
            self.engine, asked, windows, self.turns.taken, order, on_step, given_up
        ).scenes(frames)

    async def async_run(
        self,
        images: Sequence[Given],
        asked: SceneAsked = _ANYTHING,
        on_step: Optional[OnStep] = None,
    ) -> Scene:
        """As a call; cancelling gives the scene up. `on_step` is called in another thread."""
        cancelled = Event()
        try:
            return await asyncio.to_thread(self, images, asked, on_step, cancelled.is_set)
        finally:
            cancelled.set()

    def counts(self) -> CacheCounts:
        """What the cache of the first stage has done."""
        return self.engine.cache.counts()

    def warm_up(self, size: Size, views: int) -> None:
        """Make and load the programs for scenes of this many views of (height, width) px inputs.

        Raises NoProgramError, what building raises, ProgramError, or OutOfServiceError.
        """
        self.engine.warm_up(size, views)

    def close(self) -> None:
        """Take no more work, finish what there is, and give the cores back."""
        self.engine.close()

    def __exit__(self, *_raised: object) -> None:
        self.close()
