"""A job over the images of a store: listing, work, log, and when it ends early."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from threading import Lock, Thread
from typing import Callable, Generic, Optional, Protocol, TypeVar, Union

from depth.errors import DepthAnythingError, StoreError
from serve.errors import NoImagesError, OutOfServiceError, RestartError, ServeError
from serve.jobs.entry import FAILED, TODO, Entry, OnEntry, Report
from serve.jobs.objects.listing import Images, Waiting, pages
from serve.jobs.objects.log import Log
from serve.jobs.objects.making import Made
from serve.jobs.objects.places import Places
from serve.jobs.objects.probe import require_conditional_puts
from serve.jobs.objects.settings import SETTINGS
from serve.jobs.objects.shard import Shard
from serve.jobs.stop import Stop
from serve.jobs.threads import ahead

logger = logging.getLogger(__name__)

_PATIENCE = 8  # images in a row that fail by the store; then the job ends

Do = Callable[[Iterator[Waiting]], Iterable[Entry]]  # works on images; may leave some out


@dataclass(frozen=True)
class RunAsked:
    """What a user asks of a run.

    verify     compare the files of every result with its .json
    fail_fast  stop at the first failure
    dry_run    only report what the job would do
    """

    shard: Shard = Shard()
    verify: bool = False
    fail_fast: bool = False
    dry_run: bool = False


class Run:
    """One run of a job. `report` has its counts.

    Three things end it early: `stop`, no core in service, and with `fail_fast` a failure. Then the
    images under way are finished and the others are left.
    """

    def __init__(self, places: Places, made: Made, asked: RunAsked, stop: Stop) -> None:
        self.report = Report(0)
        self.stop = stop
        self._places = places
        self._made = made
        self._asked = asked
        self._images = Images(places.images, asked.shard, places.outside)
        self._count = _Count(Images(places.images, asked.shard, places.outside))
        self._log = Log(places.results, made.folder, asked.shard)
        self._taking = Lock()
        self._settings_there = False
        self._seen = 0  # images that the listing gave
        self._listed_all = False

    @property
    def log_place(self) -> str:
        """Where the log of the run is."""
        return self._log.place

    def run(self, do: Do, on_entry: OnEntry) -> Report:
        """Have `do` work on what has no result yet; `on_entry` gets every entry.

        Raises StoreError if a store cannot be used, or ignores the condition of puts, and
        NoImagesError.
        """
        writes = not self._asked.dry_run
        if writes:
            require_conditional_puts(self._places.results)
        self._count.start()
        try:
            found = pages(
                self._images.listed(), self._places.results, self._made, self._asked.verify
            )
            with closing(ahead(found)) as coming:
                waiting = self._waiting(chain.from_iterable(coming), on_entry)
                for entry in (do if writes else _would_do)(waiting):
                    self._take(entry, on_entry)
        finally:
            self._close()
            if writes and self._seen:
                self._log.finish(self.report)
        if not self._seen and self._asked.shard.count == 1:
            raise NoImagesError(f"{self._places.images.name}: no images in it; name another prefix")
        return self.report

    def _waiting(
        self, found: Iterator[Union[Entry, Waiting]], on_entry: OnEntry
    ) -> Iterator[Waiting]:
        for item in found:
            self._seen += 1
            if isinstance(item, Entry):
                self._take(item, on_entry)
                continue
            self._write_settings()
            yield item
        self._listed_all = True

    def _take(self, entry: Entry, on_entry: OnEntry) -> None:
        """Count an entry, and say and log what became of its image."""
        with self._taking:
            self.report.add(entry)
            if not self._asked.dry_run:
                self._log.add(entry)
            if entry.status == FAILED and self._asked.fail_fast:
                self.stop.request("a failure")
            on_entry(entry, max(self._count.images, self._seen))

    def _write_settings(self) -> None:
        if not self._asked.dry_run and not self._settings_there:
            key = f"{self._made.folder}/{SETTINGS}"
            self._places.results.write_if(key, self._made.settings, None)
            self._settings_there = True

    def _close(self) -> None:
        self.report.stopped = self.stop.reason
        self.report.left_out = dict(self._images.others.most_common())
        counted = self._seen if self._listed_all else max(self._count.images, self._seen)
        if not self._listed_all and not self._count.done:
            counted = max(counted, self._seen + 1)
        self.report.total = counted


class Named(Protocol):
    """What is to be worked on, by the name of its image."""

    @property
    def image(self) -> str: ...


Item = TypeVar("Item", bound=Named)


class Attempts(Generic[Item]):
    """Calls the work on an image, and makes an entry of its failure. Safe in any thread."""

    def __init__(self, work: Callable[[Item], Entry], stop: Stop) -> None:
        self.restart = False  # a new process can go on
        self._work = work
        self._stop = stop
        self._lock = Lock()
        self._in_a_row = 0

    def __call__(self, waiting: Item) -> Optional[Entry]:
        """The entry of an image; None leaves it to the next run, if no core is in service."""
        try:
            entry = self._work(waiting)
        except OutOfServiceError as error:
            self.restart |= isinstance(error, RestartError)
            self._stop.request(str(error))
            return None
        except StoreError as error:
            with self._lock:
                self._in_a_row += 1
                if self._in_a_row >= _PATIENCE:
                    self._stop.request(f"{_PATIENCE} failures of the store in a row: {error}")
            return _failed(waiting, error)
        except Exception as error:  # an image must not stop the others
            if not isinstance(error, (DepthAnythingError, ServeError)):
                logger.error("%s: unexpected error", waiting.image, exc_info=error)
            return _failed(waiting, error)
        with self._lock:
            self._in_a_row = 0
        return entry


def _failed(waiting: Named, error: Exception) -> Entry:
    return Entry(waiting.image, FAILED, reason=str(error) or repr(error))


def _would_do(waiting: Iterator[Waiting]) -> Iterator[Entry]:
    for each in waiting:
        reason = "no result of this version yet" if each.known else "no result yet"
        yield Entry(each.image, TODO, reason="to be verified" if each.check else reason)


class _Count:
    """Counts the images of a job beside its work, which begins before they are all listed."""

    def __init__(self, images: Images) -> None:
        self.images = 0
        self.done = False
        self._images = images

    def start(self) -> None:
        """Count in a thread that ends with the process."""
        Thread(target=self._run, name="count", daemon=True).start()

    def _run(self) -> None:
        try:
            for _ in self._images.listed():
                self.images += 1
            self.done = True
        except StoreError as error:  # the job's own listing says so too
            logger.debug("images are not counted: %s", error)
