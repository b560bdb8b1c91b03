"""An image in, a depth map out; for many images, host work beside the network's."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Generic, TypeVar

from depth_anything_v2.depth_map import DepthMap, FloatArray, Provenance
from depth_anything_v2.image import SourceImage
from depth_anything_v2.postprocess import resize_depth
from depth_anything_v2.preprocess import prepare
from depth_anything_v2.sizes import SHORT_SIDE_PX
from serve.library import Library, Size
from serve.shapes import EXACT, program_size

Key = TypeVar("Key")
Result = TypeVar("Result")

_AHEAD = 2  # images read ahead of the network, and results waiting behind it


@dataclass(frozen=True)
class Prepared:
    """An image as network input [1,3,h,w], and what is needed to finish it."""

    source: SourceImage
    size: Size
    tensor: FloatArray


@dataclass(frozen=True)
class Raw:
    """Network output [h,w] before it is resized, and how long the network took."""

    values: FloatArray
    prepared: Prepared
    network_ms: float


class Engine:
    """Runs images of any size through the programs of a library, one after another."""

    def __init__(
        self, library: Library, policy: str = EXACT, short_side_px: int = SHORT_SIDE_PX
    ) -> None:
        self.library = library
        self.policy = policy
        self.short_side_px = short_side_px

    def size_for(self, height_px: int, width_px: int) -> Size:
        """The program size for an image; raises InputError or NoProgram if it can have none."""
        return program_size(
            self.policy, (height_px, width_px), self.library.sizes, self.short_side_px
        )

    def prepare(self, source: SourceImage) -> Prepared:
        """Network input for an image. Safe in any thread."""
        size = self.size_for(source.header.height_px, source.header.width_px)
        return Prepared(source, size, prepare(source.pixels, size))

    def run(self, prepared: Prepared) -> Raw:
        """The network's part. In one thread only; raises NoProgram, RuntimeFailure."""
        runtime = self.library.runtime(prepared.size)
        started = time.perf_counter()
        values = runtime.run(prepared.tensor)[0]
        return Raw(values, prepared, (time.perf_counter() - started) * 1e3)

    def finish(self, raw: Raw) -> DepthMap:
        """The depth map at the image's own size. Safe in any thread."""
        header = raw.prepared.source.header
        values = resize_depth(raw.values, (header.height_px, header.width_px))
        artifact = self.library.artifact(raw.prepared.size)
        m = artifact.manifest
        return DepthMap(values, m.kind, m.max_depth_m, self.provenance(raw.prepared.size))

    def provenance(self, size: Size) -> Provenance:
        """What a result of this program size says about its making."""
        artifact = self.library.artifact(size)
        m = artifact.manifest
        return Provenance(
            model=m.model,
            weights=m.checkpoint.file,
            weights_sha256=m.checkpoint.sha256,
            artifact=artifact.identity,
            target=m.target,
            precision=m.precision,
            preprocess_mode=m.preprocess.mode,
            shape_policy=self.policy,
            model_height_px=size[0],
            model_width_px=size[1],
        )

    def depth(self, source: SourceImage) -> DepthMap:
        """One image, start to end; a missing program is built if the library can."""
        self.library.prepare([self.size_for(source.header.height_px, source.header.width_px)])
        return self.finish(self.run(self.prepare(source)))

    def close(self) -> None:
        self.library.close()


@dataclass(frozen=True)
class Outcome(Generic[Key, Result]):
    """What became of one item: a result, or the exception that stopped it."""

    key: Key
    result: Result | None
    error: Exception | None


def overlapped(
    engine: Engine,
    keys: Iterable[Key],
    load: Callable[[Key], SourceImage],
    store: Callable[[Key, Raw], Result],
) -> Iterator[Outcome[Key, Result]]:
    """Every key through load, network and store, in order, the three beside one another.

    At most a few images are in memory at a time. One that fails does not stop the others. Closing
    the iterator drops what has not begun and waits for what has.
    """
    waiting = iter(keys)
    loading: deque[tuple[Key, Future[Prepared]]] = deque()
    storing: deque[tuple[Key, Future[Result]]] = deque()
    with ThreadPoolExecutor(1, "load") as loader, ThreadPoolExecutor(2, "store") as storer:
        try:
            while True:
                while len(loading) < _AHEAD:
                    try:
                        key = next(waiting)
                    except StopIteration:
                        break
                    loading.append((key, loader.submit(lambda k: engine.prepare(load(k)), key)))
                if not loading:
                    break
                key, prepared = loading.popleft()
                try:
                    raw = engine.run(prepared.result())
                except Exception as error:  # noqa: BLE001 - one image must not stop the others
                    yield Outcome(key, None, error)
                    continue
                storing.append((key, storer.submit(store, key, raw)))
                while len(storing) > _AHEAD:
                    yield _stored(*storing.popleft())
            while storing:
                yield _stored(*storing.popleft())
        finally:
            for _, load_future in loading:
                load_future.cancel()
            for _, store_future in storing:
                store_future.cancel()


def _stored(key: Key, future: Future[Result]) -> Outcome[Key, Result]:
    try:
        return Outcome(key, future.result(), None)
    except Exception as error:  # noqa: BLE001 - one image must not stop the others
        return Outcome(key, None, error)
