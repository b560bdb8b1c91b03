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
from serve.jobs.objects.under_way import NamedImages
from serve.jobs.objects.work import ImageWork
from serve.jobs.stage import Stage
from serve.jobs.stop import Stop

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
        room = Room(len(made.suffixes) - 1)
        self._stage = Stage(engine, room=room)
        stores = places.images, places.results, made.folder
        work = ImageWork(self._stage, room, *stores, making)
        self._names = NamedImages(places.results, made.folder, asked.shard.name)
        self._stop = stop
        self._attempts = Attempts(work, stop)
        self._refused = Attempts(work.refuse, stop)
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
            yield from self._names.each(
                todo, self._attempts, self._refused, workers, self._stop.requested
            )
