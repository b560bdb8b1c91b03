"""A worker of the cluster: an artifact on one NeuronCore, or on the CPU of a machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Thread
from typing import Any, Callable, Optional

import numpy as np
import numpy.typing as npt

from depth.files import sha256_bytes
from serve.engine import Engine
from serve.jobs.memory import Room
from serve.jobs.objects.listing import Waiting
from serve.jobs.objects.making import Making
from serve.jobs.objects.places import open_places
from serve.jobs.objects.run import Attempts
from serve.jobs.objects.under_way import NamedImages, whole_process
from serve.jobs.objects.work import ImageWork
from serve.jobs.stage import Stage
from serve.jobs.stop import Stop
from serve.ray.wire import dump_entry, parse_waiting

WAITING, ENTRY, LEFT = "waiting", "entry", "left"  # columns
RESTART = "restart: "  # before the reason, where a new process can go on
_LOOK_S = 2.0  # between looks whether the driver asks for a stop
_LIVES = 2  # in clusters workers die for many reasons, and no user runs the job again at once
_DIGITS = 16  # of a hash of the images of a batch
_ON_THE_WAY = 8  # images that are downloaded or uploaded, beside those that keep the core busy


def open_engine(making: Making) -> Engine:
    """An engine over the artifact. On each machine one worker pulls it, and the others wait."""
    return making.engine(making.library())


@dataclass(frozen=True)
class Duty:
    """What a worker needs to know.

    folder   of the results, by the driver's artifact
    engine   makes an engine
    stopped  says why the driver asks for a stop, or ""; None if no driver does
    """

    source: str
    target: str
    endpoint_url: Optional[str]
    making: Making
    folder: str
    files: int  # of a result
    engine: Callable[[Making], Engine] = open_engine
    stopped: Optional[Callable[[], str]] = None


class Worker:
    """Works on batches of images. Ray makes workers, and calls them with batches."""

    def __init__(self, duty: Duty) -> None:
        making = duty.making
        self._duty = duty
        self._stop = Stop()
        self._closing = ExitStack()
        self._places = self._closing.enter_context(
            open_places(duty.source, duty.target, duty.endpoint_url)
        )
        engine = self._closing.enter_context(duty.engine(making))
        room = Room(duty.files)
        self._stage = Stage(engine, room=room)
        stores = self._places.images, self._places.results, duty.folder
        work = ImageWork(self._stage, room, *stores, making)
        self._attempts = Attempts(work, self._stop)
        self._refused = Attempts(work.refuse, self._stop)
        self._process = whole_process()
        if duty.stopped is not None:
            Thread(target=self._watch, args=(duty.stopped,), name="stop", daemon=True).start()

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, npt.NDArray[Any]]:
        """The fates of a batch: `entry` has one text per image, `left` why a batch was left."""
        self._look(self._duty.stopped)
        workers = self._stage.images_at_once() + _ON_THE_WAY
        waiting = [parse_waiting(text) for text in batch[WAITING]]
        found = self._names(waiting).each(
            waiting, self._attempts, self._refused, workers, self._stop.requested
        )
        entries = [] if self._stop.requested() else [dump_entry(entry) for entry in found]
        left = RESTART * self._attempts.restart + self._stop.reason
        if left:
            entries.append("")
        return {ENTRY: np.array(entries, object), LEFT: np.array([left] * len(entries), object)}

    def _names(self, waiting: Sequence[Waiting]) -> NamedImages:
        """The object of a batch: Ray repeats a batch as it was."""
        images = "\n".join(item.image for item in waiting)
        name = f"ray-{sha256_bytes(images.encode('utf-8', 'surrogatepass'))[:_DIGITS]}"
        return NamedImages(self._places.results, self._duty.folder, name, self._process, _LIVES)

    def _watch(self, stopped: Callable[[], str]) -> None:
        while not self._stop.requested():
            time.sleep(_LOOK_S)
            self._look(stopped)

    def _look(self, stopped: Optional[Callable[[], str]]) -> None:
        reason = stopped() if stopped is not None else ""
        if reason:
            self._stop.request(reason)
