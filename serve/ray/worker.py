"""A worker of the cluster: an artifact on one NeuronCore, or on the CPU of a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np
import numpy.typing as npt

from serve.engine import Engine
from serve.jobs.memory import Room
from serve.jobs.objects.making import Making
from serve.jobs.objects.places import open_places
from serve.jobs.objects.run import Attempts
from serve.jobs.objects.work import ImageWork
from serve.jobs.stage import Stage
from serve.jobs.stop import Stop
from serve.jobs.threads import each
from serve.ray.wire import dump_entry, parse_waiting

WAITING, ENTRY, LEFT = "waiting", "entry", "left"  # columns
RESTART = "restart: "  # before the reason, where a new process can go on
_ON_THE_WAY = 8  # images that are downloaded or uploaded, beside those that keep the core busy


def open_engine(making: Making) -> Engine:
    """An engine over the artifact. On each machine one worker pulls it, and the others wait."""
    return making.engine(making.library())


@dataclass(frozen=True)
class Duty:
    """What a worker needs to know.

    folder  of the results, by the driver's artifact
    engine  makes an engine
    """

    source: str
    target: str
    endpoint_url: Optional[str]
    making: Making
    folder: str
    files: int  # of a result
    engine: Callable[[Making], Engine] = open_engine


class Worker:
    """Works on batches of images. Ray makes workers, and calls them with batches."""

    def __init__(self, duty: Duty) -> None:
        making = duty.making
        self._stop = Stop()
        self._closing = ExitStack()
        places = self._closing.enter_context(
            open_places(duty.source, duty.target, duty.endpoint_url)
        )
        engine = self._closing.enter_context(duty.engine(making))
        self._stage = Stage(engine, room=Room(duty.files))
        work = ImageWork(
            self._stage, places.images, places.results, duty.folder, making.formats, making.preview
        )
        self._attempts = Attempts(work, self._stop)

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, npt.NDArray[Any]]:
        """The fates of a batch: `entry` has one text per image, `left` why a batch was left."""
        workers = self._stage.images_at_once() + _ON_THE_WAY
        waiting = map(parse_waiting, batch[WAITING])
        entries = [
            dump_entry(entry)
            for entry in each(waiting, self._attempts, workers, self._stop.requested)
        ]
        left = RESTART * self._attempts.restart + self._stop.reason
        if left:
            entries.append("")
        return {ENTRY: np.array(entries, object), LEFT: np.array([left] * len(entries), object)}
