"""One image at a time from its file to its result: what every front end does with an engine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union

import numpy as np
import numpy.typing as npt

from depth.errors import FitError, InputError
from depth.images.given import Held, hold
from depth.images.header import ImageHeader
from depth.images.read import ImageFile, decode
from depth.maps.fit import AUTO
from depth.maps.result import Result
from depth.presets.names import formats_of
from depth.sizes import Size
from depth.steps.focal import NOTHING_ASKED, FocalAsked
from serve.backend import CPU_STREAMS
from serve.cores import MANY
from serve.engine import Engine
from serve.errors import ClosedError, ExpiredError
from serve.jobs.memory import Room
from serve.runtimes.neuron_cores import check_same_process

if TYPE_CHECKING:
    from depth.fitting.fitter import Fitter, Given

Pixels = npt.NDArray[np.uint8]
Used = TypeVar("Used")


@dataclass(frozen=True)
class ImageResult(Result):
    """A result that knows its image.

    source         stands in the .json: path, size, sha256, notes
    timing_ms      of read, wait (for a core) and network
    exif_focal_px  the focal length that its file says, in px of the whole image
    header         of its file
    """

    source: dict[str, Any] = field(default_factory=dict)
    timing_ms: Mapping[str, float] = field(default_factory=dict, compare=False)
    exif_focal_px: Optional[float] = None
    header: Optional[ImageHeader] = field(default=None, compare=False)

    def fitted(
        self,
        reference: Given,
        by: str = AUTO,
        unit: Optional[str] = None,
        scale: Optional[float] = None,
    ) -> ImageResult:
        """The result with its depth moved onto measured depth.

        reference  points [N,3] of this image: x and y in px, and depth in metres; or a path, as
                   `--fit` takes it
        by         `auto`, `scale` or `scale_shift`
        unit       `m`: the COLMAP model is in metres
        scale      metres of a code of a sensor's PNG file

        Raises FitError if the reference supports no fit, and InputError for what cannot be read.
        """
        from depth.fitting.fitter import fitter_of

        if self.header is None:
            raise FitError("a result without an image: there is no place to measure")
        fitter = fitter_of(reference, by, unit, scale)
        return fitter.fitted(self, self.source["path"], self.header)

    def save(
        self,
        stem: Union[str, os.PathLike[str]],
        formats: Optional[Sequence[str]] = None,
        preset: str = "",
        image: Optional[Pixels] = None,
        camera: FocalAsked = NOTHING_ASKED,
    ) -> list[Path]:
        """Write `<stem>.<format>` and `<stem>.json`; returns their paths. Raises as `save_result`.

        formats  of depth/maps/formats.py: png, npy, npz, pfm, exr, tiff; by default png, or none
                 with a preset
        preset   of depth/presets/table.py: the files that a tool reads
        image    uint8 [H,W,3] BGR, for a preset that has the image beside the depth
        camera   for a preset that has a camera; by default what the image file says
        """
        from depth.presets.files import save_result
        from depth.presets.shot import Shot

        shot = Shot.of(self.source, asked=camera, exif_focal=self.exif_focal_px, pixels=image)
        chosen = formats_of(formats, preset)
        return save_result(self, Path(stem), chosen, self.source, preset=preset, shot=shot)


@dataclass(frozen=True)
class Asked:
    """What a caller asks for one image. None leaves it to the engine.

    focal        the camera of the image
    output_size  `full` or `model`
    deadline_s   the network has to begin by then, counted from `begun_s`
    begun_s      a time of time.monotonic(); by default the present
    fit          moves depth onto measured depth
    """

    focal: Optional[FocalAsked] = None
    output_size: Optional[str] = None
    deadline_s: Optional[float] = None
    begun_s: float = field(default_factory=time.monotonic)
    fit: Optional[Fitter] = None


class Stage:
    """Images through an engine, within the memory that images may take. Safe in any thread.

    sizes          (height, width) px of images to warm up for; by default every program
    remark         added to the notes of every result
    stand_in       the model, if it replaces the one that was asked for; goes into every result
    one_at_a_time  a CPU gives all its cores to one image, not to two
    room           memory of images under way
    """

    def __init__(
        self,
        engine: Engine,
        sizes: Iterable[Size] = (),
        remark: str = "",
        one_at_a_time: bool = False,
        room: Optional[Room] = None,
        stand_in: str = "",
    ) -> None:
        self.engine = engine
        self._sizes = list(sizes)
        self._streams = 1 if one_at_a_time else CPU_STREAMS
        self.remark, self._stand_in = remark, stand_in
        self._room = room or Room()
        self._ready: set[Size] = set()  # sizes whose programs are made
        self._making = Lock()
        self._pid: Optional[int] = None  # of the process that has used the engine
        self._closed = False

    def result(self, held: Held, asked: Asked) -> ImageResult:
        """The result of an image. A program that is missing is built if the library can.

        Raises ImageError or InputError for the image, NoProgramError, ProgramError, ExpiredError,
        OutOfServiceError, or ClosedError.
        """
        return self.through(held, asked, lambda result, _pixels: result)

    def through(self, held: Held, asked: Asked, use: Callable[[ImageResult, Pixels], Used]) -> Used:
        """What `use` makes of the result and the image's pixels, uint8 [H,W,3] BGR.

        `use` runs while the image has its share of the memory. Raises as `result`.
        """
        self.check_usable()
        begun_s = time.monotonic()
        engine, opened = self.engine, held.open()
        header = opened.header
        size = engine.size_for(header.height_px, header.width_px)
        self._make_ready({size})
        with self._room.taken(header):
            source = decode(opened, engine.needed) if isinstance(opened, ImageFile) else opened
            prepared = engine.prepare(source, asked.focal, size)
            read_ms = (time.monotonic() - begun_s) * 1e3
            raw = engine.run(prepared, _left_s(asked))
            made = engine.finish(raw, asked.output_size)
            facts = {
                "path": held.path,
                "sha256": source.sha256 or None,
                "width_px": header.width_px,
                "height_px": header.height_px,
                "notes": [*source.notes, *([self.remark] if self.remark else [])],
                **({"stand_in": self._stand_in} if self._stand_in else {}),
            }
            timing_ms = {"read": read_ms, "wait": raw.wait_ms, "network": raw.network_ms}
            result = ImageResult(
                **vars(made),
                source=facts,
                timing_ms=timing_ms,
                exif_focal_px=header.focal_px,
                header=header,
            )
            if asked.fit is not None:
                result = asked.fit.fitted(result, held.path, header)
            return use(result, source.pixels)

    def warm_up(self, sizes: Iterable[Size] = ()) -> None:
        """Make, load and run once the programs for images of these (height, width) px.

        By default the stage's `sizes`, or every program that there is. Raises InputError if there
        is none, and as `Engine.make_ready` and `Engine.run`.
        """
        wanted = list(sizes) or self._sizes or self.engine.library.sizes
        if not wanted:
            raise InputError("no program is made yet: name the (height, width) px of your images")
        self._make_ready({self.engine.size_for(*size) for size in wanted})
        for size in wanted:
            self.result(hold(np.zeros((*size, 3), np.uint8)), Asked())

    def close(self) -> None:
        """Take no more work, finish what there is, and give the cores back."""
        self._closed = True
        self.engine.close()

    def check_usable(self) -> None:
        """Raises ClosedError once closed, and in a child of the process that used the engine."""
        if self._closed:
            raise ClosedError("the pipeline is closed and takes no more work")
        if self._pid is not None:
            check_same_process(self._pid)  # before a lock that the owner may have held

    def images_at_once(self) -> int:
        """How many images under way keep cores and host busy; what is built runs on a CPU."""
        self.check_usable()
        if self._streams == 1 or not self.engine.library.sizes:
            return 2 * self._streams
        return self.engine.images_at_once

    def _make_ready(self, sizes: set[Size]) -> None:
        if not sizes <= self._ready:
            with self._making:
                self._pid = os.getpid()
                self.engine.make_ready(sizes - self._ready, 1 if self._streams == 1 else MANY)
                self._ready |= sizes


def _left_s(asked: Asked) -> Optional[float]:
    """What is left of a deadline. Raises ExpiredError if nothing is."""
    if asked.deadline_s is None:
        return None
    waited_s = time.monotonic() - asked.begun_s
    if waited_s >= asked.deadline_s:
        raise ExpiredError(
            f"waited {waited_s:.3f} s, its deadline was {asked.deadline_s:.3f} s: reading the "
            "image, or making its program, took too long; call `warm_up` first, or allow more time"
        )
    return asked.deadline_s - waited_s
