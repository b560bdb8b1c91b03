"""An image in, a depth map out; many images in threads, so that nothing waits for the network."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Generic, TypeVar

from depth_anything_v2.depth_map import DepthMap, FloatArray, Provenance
from depth_anything_v2.errors import InputError
from depth_anything_v2.image import SourceImage
from depth_anything_v2.postprocess import resize_depth
from depth_anything_v2.preprocess import prepare
from depth_anything_v2.sizes import SHORT_SIDE_PX
from serve.library import Library, Size
from serve.shapes import EXACT, POLICIES, program_size

Key = TypeVar("Key")
Result = TypeVar("Result")


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
    """Runs images of any size through the programs of a library. Safe in any thread.

    Raises InputError for an unknown shape policy.
    """

    def __init__(
        self, library: Library, policy: str = EXACT, short_side_px: int = SHORT_SIDE_PX
    ) -> None:
        if policy not in POLICIES:
            raise InputError(f"no shape policy {policy!r}; choose from {', '.join(POLICIES)}")
        self.library = library
        self.policy = policy
        self.short_side_px = short_side_px

    def size_for(self, height_px: int, width_px: int) -> Size:
        """The program size for an image; raises InputError or NoProgram if it can have none."""
        return program_size(
            self.policy, (height_px, width_px), self.library.sizes, self.short_side_px
        )

    def prepare(self, source: SourceImage) -> Prepared:
        """Network input for an image. Raises InputError or NoProgram if it can have none."""
        size = self.size_for(source.header.height_px, source.header.width_px)
        return Prepared(source, size, prepare(source.pixels, size))

    def run(self, prepared: Prepared) -> Raw:
        """The network's part. Raises NoProgram, RuntimeFailure or ArtifactError."""
        runtime = self.library.runtime(prepared.size)
        started = time.perf_counter()
        values = runtime.run(prepared.tensor)[0]
        return Raw(values, prepared, (time.perf_counter() - started) * 1e3)

    def finish(self, raw: Raw) -> DepthMap:
        """The depth map at the image's own size."""
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


@dataclass(frozen=True)
class Outcome(Generic[Key, Result]):
    """What became of one item: a result, or the exception that stopped it."""

    key: Key
    result: Result | None
    error: Exception | None


def each(
    keys: Iterable[Key], work: Callable[[Key], Result], workers: int
) -> Iterator[Outcome[Key, Result]]:
    """`work` on every key in `workers` threads, the outcomes in the order of the keys.

    One that fails does not stop the others, and at most two per worker are under way or waiting to
    be taken. Closing the iterator drops what has not begun and waits for what has.
    """
    under_way: deque[tuple[Key, Future[Result]]] = deque()
    with ThreadPoolExecutor(workers, "image") as pool:
        try:
            for key in keys:
                under_way.append((key, pool.submit(work, key)))
                if len(under_way) >= 2 * workers:
                    yield _outcome(*under_way.popleft())
            while under_way:
                yield _outcome(*under_way.popleft())
        finally:
            for _, future in under_way:
                future.cancel()


def _outcome(key: Key, future: Future[Result]) -> Outcome[Key, Result]:
    try:
        return Outcome(key, future.result(), None)
    except Exception as error:  # one image must not stop the others
        return Outcome(key, None, error)
