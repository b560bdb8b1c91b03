"""The S3 job on one machine: downloads, the network and uploads of several images at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from serve.engine import Engine
from serve.jobs.entry import Entry, OnEntry, Report
from serve.jobs.memory import Room
from serve.jobs.objects.listing import Waiting
from serve.jobs.objects.making import Made, Making
from serve.jobs.objects.places import Places
from serve.jobs.objects.run import Attempts, Run, RunAsked
from serve.jobs.objects.work import ImageWork
from serve.jobs.stage import Stage
from serve.jobs.stop import Stop
from serve.jobs.threads import each

_ON_THE_WAY = 8  # images that are downloaded or uploaded, beside those that keep the cores busy


class S3Job:
    """Images of a store through an engine into a store."""

    def __init__(
        self,
        engine: Engine,
        places: Places,
        making: Making,
        made: Made,
        asked: RunAsked,
        stop: Stop,
    ) -> None:
        self._stage = Stage(engine, room=Room(len(made.suffixes) - 1))
        self._work = ImageWork(
            self._stage, places.images, places.results, made.folder, making.formats, making.preview
        )
        self._stop = stop
        self._attempts = Attempts(self._work, stop)
        self._run = Run(places, made, asked, stop)

    def run(self, on_entry: OnEntry) -> Report:
        """Run the job; `on_entry` gets every entry. Raises as `Run.run`."""
        report = self._run.run(self._each, on_entry)
        report.restart = self._attempts.restart
        return report

    @property
    def log_place(self) -> str:
        """Where the log of the run is."""
        return self._run.log_place

    def _each(self, waiting: Iterator[Waiting]) -> Iterator[Entry]:
        first = next(waiting, None)
        if first is not None:  # the cores are taken only for work
            workers = self._stage.images_at_once() + _ON_THE_WAY
            todo = chain([first], waiting)
            yield from each(todo, self._attempts, workers, self._stop.requested)
