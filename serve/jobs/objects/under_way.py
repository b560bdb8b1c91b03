"""The names of the images that a job works on, in an object, for the run after a killed run.

    FOLDER/_under-way/NAME.names

Suspect and guilty mean what they mean in serve/jobs/under_way.py. A put for each image would cost
too much, so a put names up to 8 images: those that begin next. A suspect comes last and alone,
after a put of its own.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import islice
from threading import Lock
from typing import Any, Callable, Optional

from depth.errors import StoreError
from depth.store.objects import ObjectStore
from serve.jobs.entry import Entry
from serve.jobs.memory import Budget
from serve.jobs.objects.listing import Waiting
from serve.jobs.threads import each
from serve.jobs.under_way import FORMAT, parsed, texts, warn_of_suspects

logger = logging.getLogger(__name__)

UNDER_WAY, SUFFIX = "_under-way", ".names"
NAMED = 8  # images that a put adds
_MAX_BYTES = 1_000_000
_PROCESS = 1 << 20  # shares of a process: an image takes one, or a suspect takes all

Work = Callable[[Waiting], Optional[Entry]]


def whole_process() -> Budget:
    """What images of a process share, so that a suspect can be alone in it."""
    return Budget(_PROCESS)


class NamedImages:
    """Works on images whose names are in an object meanwhile.

    name     of the object: of the shard or batch whose images these are
    process  of `whole_process`, for several of these in one process
    lives    the number of kills in which a guilty suspect was alone
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        name: str,
        process: Optional[Budget] = None,
        lives: int = 1,
    ) -> None:
        self._store = store
        self._key = f"{folder}/{UNDER_WAY}/{name}{SUFFIX}"
        self._process = process or whole_process()
        self._lock = Lock()
        self._names: set[str] = set()
        self._coming: dict[str, None] = {}  # images that begin next, in their order
        self._suspects: set[str] = set()
        self._alone_in: Counter[str] = Counter()  # kills, by suspect
        self._lives = lives
        self._there = False  # the object

    def each(
        self,
        waiting: Iterable[Waiting],
        work: Work,
        refuse: Work,
        workers: int,
        stopped: Callable[[], bool],
    ) -> Iterator[Entry]:
        """The entries of images, as `threads.each` of `work` yields them, suspects last.

        refuse  makes the entry of a guilty image

        Closing takes the names of images that are done or were not begun out of the object.
        """
        self._read()
        aside: list[Waiting] = []
        try:
            ready = self._ready(waiting, aside)
            with closing(each(ready, self._noted(work), workers, stopped)) as entries:  # type: ignore[type-var]
                yield from entries
            for item in aside:
                if stopped():
                    break
                entry = self._alone(item, work, refuse)
                if entry is not None:
                    yield entry
        finally:
            self._finish()

    def _ready(self, waiting: Iterable[Waiting], aside: list[Waiting]) -> Iterator[Waiting]:
        """The images but suspects, which go `aside`."""
        for item in waiting:
            if item.image in self._suspects:
                aside.append(item)
                continue
            with self._lock:
                self._coming[item.image] = None
            yield item
        self._suspects &= {item.image for item in aside}  # the others need no work, or are gone

    def _begin(self, image: str) -> None:
        """Name an image, and the next ones with it, unless an earlier put has named it."""
        with self._lock:
            if image not in self._names:
                others = (name for name in self._coming if name != image)
                self._names.update([image, *islice(others, NAMED - 1)])
                for name in self._names:
                    self._coming.pop(name, None)
                self._write()

    def _noted(self, work: Work) -> Work:
        def noted(item: Waiting) -> Optional[Entry]:
            with self._process.taken(1):
                self._begin(item.image)
                entry = work(item)
            with self._lock:
                self._names.discard(item.image)
            return entry

        return noted

    def _alone(self, item: Waiting, work: Work, refuse: Work) -> Optional[Entry]:
        """Work on a suspect with nothing else under way. A guilty image stays a suspect."""
        if self._alone_in[item.image] >= self._lives:
            del self._alone_in[item.image]
            return refuse(item)
        with self._process.taken(_PROCESS):
            self._names = {item.image}
            self._write()
            entry = work(item)
            self._names = set()
        if entry is not None:
            self._suspects.discard(item.image)
            del self._alone_in[item.image]
        return entry

    def _read(self) -> None:
        found = None
        with suppress(StoreError):  # too large, and so not ours
            found = self._store.read(self._key, _MAX_BYTES)
        if found is None:
            return
        before = parsed(found.data)
        killed, suspects = texts(before, "under_way"), texts(before, "suspects")
        self._suspects = killed | suspects
        self._alone_in.update(_counts(before, "alone_in"))
        self._alone_in.update(killed & suspects)
        self._there = True
        self._write()  # an image that is guilty now is a suspect in the next run
        if self._suspects:
            warn_of_suspects(self._suspects)

    def _write(self) -> None:
        content = {
            "format": FORMAT,
            "under_way": sorted(self._names),
            "suspects": sorted(self._suspects),
            "alone_in": dict(self._alone_in),
        }
        try:
            self._store.write(self._key, json.dumps(content).encode() + b"\n")
            self._there = True
        except StoreError as error:  # the images fail by it too, where it matters
            logger.debug("%s: images under way are not named: %s", self._key, error)

    def _finish(self) -> None:
        self._names, self._coming = set(), {}
        if self._suspects:
            self._write()
        elif self._there:
            try:
                self._store.remove(self._key)
            except StoreError as error:  # it names images that are done, or were not begun
                logger.debug("%s: may stay: %s", self._key, error)


def _counts(found: dict[str, Any], key: str) -> dict[str, int]:
    listed = found.get(key)
    pairs = listed.items() if isinstance(listed, dict) else ()
    return {name: count for name, count in pairs if isinstance(count, int)}
