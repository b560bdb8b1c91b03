"""An image in, its maps out: pre-processing, the cores that run the network, the steps after it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import product
from typing import Callable, NamedTuple, Optional

import numpy as np

from depth.errors import InputError
from depth.family import IMAGES
from depth.images.header import ImageHeader
from depth.images.read import Needed, SourceImage
from depth.maps.result import FULL, OUTPUT_SIZES, FloatArray, Focal, Map, Provenance, Result
from depth.preprocess import FAST, MODES, REFERENCE
from depth.sizes import Size, SizeRule
from depth.steps.focal import NOTHING_ASKED, FocalAsked, focal_for
from serve.arrays import Arrays
from serve.backend import OpenBackend, open_backend
from serve.cores import MANY, Cores
from serve.errors import ProgramError
from serve.library import Library, Served
from serve.provenance import provenance_of
from serve.scheduling.core import Snapshot
from serve.scheduling.queues import Pending
from serve.shapes import EXACT, POLICIES, nearest_size


@dataclass(frozen=True)
class Prepared:
    """An image as network input, and what is needed to finish it."""

    source: SourceImage
    served: Served
    arrays: Arrays  # images [3,h,w]
    focal: Optional[Focal] = None  # of its camera, where the model's steps need it

    @property
    def size(self) -> Size:
        """What the network sees: (height, width) px."""
        return self.served.shape.height_px, self.served.shape.width_px


@dataclass(frozen=True)
class Raw:
    """Network outputs [h,w] by name before the steps that follow, and how long the run took."""

    outputs: Arrays
    prepared: Prepared
    wait_ms: float  # for a core, and for the program to be loaded on it
    network_ms: float

    @staticmethod
    def of(pending: Pending, prepared: Prepared) -> Raw:
        """What was submitted, once it is answered. Raises what it was answered with."""
        return Raw(pending.result(), prepared, pending.waited_s * 1e3, pending.ran_s * 1e3)


class Foreseen(NamedTuple):
    """What a result of an image depends on, besides its bytes."""

    size: Size  # what the network sees
    provenance: Optional[Provenance]  # None as long as no program has this size
    focal: Optional[Focal]  # that metres are made with


class Engine(AbstractContextManager["Engine"]):
    """Runs images of any size through the programs of a library. Safe in any thread.

    A context manager with the states of serve/cores.py.

    policy       `exact` or `buckets`; see serve/shapes.py
    size_rule    what `exact` follows; by default that of the library's artifacts
    sizes        what `buckets` chooses from; by default those of the given artifacts
    preprocess   `reference` or `fast`; see depth/preprocess.py
    output_size  `full`, the image's, or `model`, the network's
    focal        what the user says of the camera of every image
    backend      what opens the cores

    Raises InputError for an unknown policy, pre-processing or output size.
    """

    def __init__(
        self,
        library: Library,
        policy: str = EXACT,
        size_rule: Optional[SizeRule] = None,
        sizes: Collection[Size] = (),
        preprocess: str = REFERENCE,
        output_size: str = FULL,
        focal: FocalAsked = NOTHING_ASKED,
        backend: OpenBackend = open_backend,
    ) -> None:
        _check("shape policy", policy, POLICIES)
        _check("pre-processing", preprocess, MODES)
        _check("output size", output_size, OUTPUT_SIZES)
        self.library = library
        self.policy = policy
        self.preprocess = preprocess
        self.output_size = output_size
        self.focal = focal
        self._size_rule = size_rule
        self._sizes = sizes
        self._cores = Cores(library, backend)
        # By network size, output size, and whether a focal length is known.
        self._provenances: dict[tuple[Size, str, bool], Provenance] = {}
        self._learn()

    @property
    def needed(self) -> Optional[Needed]:
        """For `read_image`: the size that images will be resized to, None to have all pixels."""
        return self._size_of if self.preprocess == FAST else None

    def size_for(self, height_px: int, width_px: int) -> Size:
        """The program size for an image; raises InputError or NoProgramError if it can have none.

        Under `exact` there need not be a program for it yet.
        """
        if self.policy == EXACT:
            rule = self._size_rule or self.library.any_artifact().manifest.size
            return rule.size_for(height_px, width_px)
        return nearest_size((height_px, width_px), self._sizes or self.library.sizes)

    def prepare(
        self,
        source: SourceImage,
        focal: Optional[FocalAsked] = None,
        size: Optional[Size] = None,
    ) -> Prepared:
        """Network input for an image.

        focal  of its camera, instead of the engine's
        size   that `size_for` gave for the image, if the caller has asked

        Raises InputError or NoProgramError if it can have none.
        """
        size = size or self._size_of(source.header)
        served = self.library.single.get(size) or self.library.find(size)  # the latter says why
        images = served.recipe.before(source.pixels, size, self.preprocess)[0]
        asked = focal or self.focal
        found = self._focal_of(served, source.header, asked) if served.recipe.needs_focal else None
        return Prepared(source, served, {IMAGES.name: images}, found)

    def make_ready(
        self,
        sizes: Iterable[Size],
        images: int = MANY,
        given_up: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Have programs for these sizes, built where missing, loaded on every core of a chip.

        A CPU loads them when they are first used; a single one begins to load here. Not
        thread-safe. Returns False if `given_up` stopped the loading. Raises NoProgramError, what
        building raises, ProgramError, or OutOfServiceError.

        images  the expected number, if this is the engine's first work; a single image gets the
                whole CPU
        """
        sizes = set(sizes)
        self.library.prepare(sizes)
        self._learn()
        if not sizes:
            return True
        opened = self._cores.open(images)
        opened.scheduler.offer(self.library.programs)
        shapes = {self.library.shape(size) for size in sizes}
        if not opened.backend.shared:
            return opened.scheduler.warm_up(shapes, given_up)
        wanted = [program for program in self.library.programs if program.shape in shapes]
        if len(wanted) == 1:  # images are decoded meanwhile
            opened.backend.preload(wanted[0])
        return True

    @property
    def images_at_once(self) -> int:
        """How many images under way keep cores and host busy. Raises as `make_ready`."""
        return self._cores.open().backend.images_at_once

    def run(self, prepared: Prepared, deadline_s: Optional[float] = None) -> Raw:
        """The network's part, when a core is free. Waits while too many wait already.

        Raises NoProgramError, ProgramError, OutOfServiceError, ExpiredError if it has not begun to
        run after `deadline_s`, or ClosedError.
        """
        return Raw.of(self.submit(prepared, deadline_s), prepared)

    def submit(
        self, prepared: Prepared, deadline_s: Optional[float] = None, wait: bool = True
    ) -> Pending:
        """As `run`, to be waited for or cancelled; see `Scheduler.submit`."""
        shape = prepared.served.shape
        return self._cores.open().scheduler.submit(prepared.arrays, shape, deadline_s, wait)

    def snapshot(self) -> Optional[Snapshot]:
        """How its scheduler is doing; None before the first run and after `close`."""
        return self._cores.snapshot()

    def close(self) -> None:
        """Take no more work, finish what there is, and give the cores back."""
        self._cores.close()

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def finish(self, raw: Raw, output_size: Optional[str] = None) -> Result:
        """The result, its maps at the image's own size unless the network's is wanted.

        output_size  instead of the engine's

        Raises InputError for an unknown output size, ProgramError for numbers that are not finite.
        """
        size = output_size or self.output_size
        _check("output size", size, OUTPUT_SIZES)
        prepared, served = raw.prepared, raw.prepared.served
        header = prepared.source.header
        maps = {
            each.name: Map(_finite(each.name, raw.outputs[each.name]), each.kind, each.largest)
            for each in served.artifact.manifest.outputs
        }
        full = (header.height_px, header.width_px) if size == FULL else None
        provenance = self._provenances[prepared.size, size, prepared.focal is not None]
        return Result(served.recipe.after(maps, full, prepared.focal), provenance, prepared.focal)

    def foreseen(self, header: ImageHeader) -> Foreseen:
        """What a result of an image will be made with. Raises as `size_for`."""
        size = self.size_for(header.height_px, header.width_px)
        if (served := self.library.single.get(size)) is None:
            return Foreseen(size, None, None)
        focal = self._focal_of(served, header, self.focal) if served.recipe.needs_focal else None
        made = self._provenances[size, self.output_size, focal is not None]
        return Foreseen(size, made, focal)

    def _focal_of(self, served: Served, header: ImageHeader, asked: FocalAsked) -> Optional[Focal]:
        """The focal length of an image in px of the network's input."""
        size = header.height_px, header.width_px
        return focal_for(asked, header.focal_px, size, served.shape[:2])

    def _learn(self) -> None:
        """Note what the results of each program are made with."""
        for size, served in self.library.single.items():
            for output_size, has_focal in product(OUTPUT_SIZES, (False, True)):
                self._provenances[size, output_size, has_focal] = provenance_of(
                    served, self.preprocess, self.policy, output_size, has_focal
                )

    def result(self, source: SourceImage, focal: Optional[FocalAsked] = None) -> Result:
        """One image, start to end; a missing program is built if the library can."""
        self.make_ready([self._size_of(source.header)], images=1)
        return self.finish(self.run(self.prepare(source, focal)))

    def _size_of(self, header: ImageHeader) -> Size:
        return self.size_for(header.height_px, header.width_px)


def _finite(name: str, values: FloatArray) -> FloatArray:
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        raise ProgramError(f"the network's {name} is not finite: its numbers overflow")
    return values


def _check(what: str, given: str, known: Collection[str]) -> None:
    if given not in known:
        raise InputError(f"no {what} {given!r}; choose from {', '.join(known)}")
