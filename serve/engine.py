"""An image in, a depth map out: pre-processing, the cores that run the network, the way back."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Callable, Optional

import numpy as np

from depth.errors import InputError
from depth.images.header import ImageHeader
from depth.images.read import SourceImage
from depth.images.reduction import Needed
from depth.maps.depth_map import (
    FULL,
    MODEL,
    OUTPUT_SIZES,
    DepthMap,
    FloatArray,
    Provenance,
)
from depth.postprocess import resize_depth
from depth.preprocess import FAST, PREPARE, REFERENCE
from depth.sizes import SHORT_SIDE_PX
from serve.backend import Backend, OpenBackend, open_backend
from serve.errors import Closed, RuntimeFailure
from serve.library import Library, Size
from serve.runtimes.neuron_cores import check_same_process
from serve.scheduling.request import Pending
from serve.scheduling.scheduler import Scheduler
from serve.shapes import EXACT, POLICIES, program_size

MANY = 1_000_000


@dataclass(frozen=True)
class Prepared:
    """An image as network input [1,3,h,w], and what is needed to finish it."""

    source: SourceImage
    size: Size
    tensor: FloatArray


@dataclass(frozen=True)
class Raw:
    """Network output [h,w] before it is resized, and how long that took."""

    values: FloatArray
    prepared: Prepared
    wait_ms: float  # for a core, and for the program to be loaded on it
    network_ms: float

    @staticmethod
    def of(pending: Pending, prepared: Prepared) -> Raw:
        """What was submitted, once it is answered. Raises what it was answered with."""
        values = pending.result()
        return Raw(values, prepared, pending.waited_s * 1e3, pending.ran_s * 1e3)


@dataclass(frozen=True)
class _Opened:
    backend: Backend
    scheduler: Scheduler
    pid: int  # of the process that has its threads


class Engine:
    """Runs images of any size through the programs of a library. Safe in any thread.

    It has its backend, and so all cores of a chip that this process may have, from the first run
    until `close`; it is a context manager. A process that is forked meanwhile cannot use it, only
    one that is spawned can have its own. `sizes` is what the policy `buckets` chooses from, by
    default the programs at hand. `preprocess` is `reference` or `fast`; `output_size` is `full`,
    the image's, or `model`, the network's. Raises InputError for an unknown one of these.
    """

    def __init__(
        self,
        library: Library,
        policy: str = EXACT,
        short_side_px: int = SHORT_SIDE_PX,
        sizes: Collection[Size] = (),
        preprocess: str = REFERENCE,
        output_size: str = FULL,
        backend: OpenBackend = open_backend,
    ) -> None:
        for what, given, known in (
            ("shape policy", policy, POLICIES),
            ("pre-processing", preprocess, PREPARE),
            ("output size", output_size, OUTPUT_SIZES),
        ):
            if given not in known:
                raise InputError(f"no {what} {given!r}; choose from {', '.join(known)}")
        self.library = library
        self.policy = policy
        self.short_side_px = short_side_px
        self.preprocess = preprocess
        self.output_size = output_size
        self._sizes = sizes
        self._open_backend = backend
        self._opening = Lock()
        self._opened: Optional[_Opened] = None
        self._closed = False

    @property
    def needed(self) -> Optional[Needed]:
        """For `read_image`: the size that images will be resized to, None to have all pixels."""
        return self._size_of if self.preprocess == FAST else None

    def size_for(self, height_px: int, width_px: int) -> Size:
        """The program size for an image; raises InputError or NoProgram if it can have none."""
        available = self._sizes or self.library.sizes
        return program_size(self.policy, (height_px, width_px), available, self.short_side_px)

    def prepare(self, source: SourceImage) -> Prepared:
        """Network input for an image. Raises InputError or NoProgram if it can have none."""
        size = self._size_of(source.header)
        folded = self.library.artifact(size).manifest.preprocess.folded
        return Prepared(source, size, PREPARE[self.preprocess](source.pixels, size, folded))

    def make_ready(
        self,
        sizes: Iterable[Size],
        images: int = MANY,
        given_up: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Have programs for these sizes, built where missing, loaded on every core of a chip.

        A CPU loads them when they are first used. If this is the engine's first work, `images` is
        how many it can expect: a single one is not kept waiting for the others' share of a CPU. Not
        beside other calls. False if loading was given up. Raises NoProgram, what building raises,
        RuntimeFailure, or OutOfService.
        """
        sizes = set(sizes)
        self.library.prepare(sizes)
        if not sizes:
            return True
        opened = self._open(images)
        opened.scheduler.offer(self.library.programs)
        return opened.backend.shared or opened.scheduler.warm_up(sizes, given_up)

    @property
    def images_at_once(self) -> int:
        """How many images under way keep cores and host busy. Raises as `make_ready`."""
        return self._open().backend.images_at_once

    def run(self, prepared: Prepared, deadline_s: Optional[float] = None) -> Raw:
        """The network's part, when a core is free. Waits while too many wait already.

        Raises NoProgram, RuntimeFailure, OutOfService, Expired if it has not begun to run after
        `deadline_s`, or Closed.
        """
        return Raw.of(self.submit(prepared, deadline_s), prepared)

    def submit(
        self, prepared: Prepared, deadline_s: Optional[float] = None, wait: bool = True
    ) -> Pending:
        """As `run`, to be waited for or cancelled; see `Scheduler.submit`."""
        scheduler = self._open().scheduler
        return scheduler.submit(prepared.tensor[0], prepared.size, deadline_s, wait)

    def close(self) -> None:
        """Take no more work, finish what there is, and give the cores back."""
        with self._opening:
            self._closed = True
            opened = self._opened
        if opened is not None and opened.pid == os.getpid():
            opened.scheduler.close()
        self._opened = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def finish(self, raw: Raw) -> DepthMap:
        """The depth map, at the image's own size unless the network's is wanted.

        Raises RuntimeFailure for numbers that are not finite.
        """
        header = raw.prepared.source.header
        values = raw.values
        if not (np.isfinite(values.min()) and np.isfinite(values.max())):
            raise RuntimeFailure("the network's depth is not finite: its numbers overflow")
        if self.output_size != MODEL:
            values = resize_depth(values, (header.height_px, header.width_px))
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
            preprocess_mode=FAST if self.preprocess == FAST else m.preprocess.mode,
            shape_policy=self.policy,
            model_height_px=size[0],
            model_width_px=size[1],
            output_size=self.output_size,
        )

    def depth(self, source: SourceImage) -> DepthMap:
        """One image, start to end; a missing program is built if the library can."""
        self.make_ready([self._size_of(source.header)], images=1)
        return self.finish(self.run(self.prepare(source)))

    def _open(self, images: int = MANY) -> _Opened:
        opened = self._opened
        if opened is not None:  # before a lock that the owner may have held
            check_same_process(opened.pid)
        with self._opening:
            if self._closed:
                raise Closed("the engine is closed and takes no more work")
            if self._opened is None:
                found = self._open_backend(self.library, images)
                programs = self.library.programs
                scheduler = Scheduler(
                    found.workers, programs, found.reopen, found.limits, found.shared
                )
                self._opened = _Opened(found, scheduler, os.getpid())
            return self._opened

    def _size_of(self, header: ImageHeader) -> Size:
        return self.size_for(header.height_px, header.width_px)
