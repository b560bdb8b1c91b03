"""A model of a service: an artifact under a name, with the threads that work for it."""

from __future__ import annotations

import math
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Callable, Optional, TypeVar

from depth.artifact.manifest import Manifest
from serve.errors import ClosedError, QueueFullError
from serve.jobs.stage import Stage
from serve.scheduling.core import Snapshot

Done = TypeVar("Done")

LOADING, READY, FAILED, CLOSED = "loading", "ready", "failed", "closed"
_RECENT = 64  # requests whose mean time says when to try again


class Model:
    """An artifact that answers under a name.

    stage   takes images through its programs
    queue   requests that may wait for a thread

    Work begins in the order of `submit`. Safe in any thread.
    """

    def __init__(self, name: str, stage: Stage, queue: int) -> None:
        self.name = name
        self.stage = stage
        self.state = LOADING
        self.waiting = 0  # requests that have no thread yet
        self.running = 0
        self._queue = queue
        self._recent_s: deque[float] = deque(maxlen=_RECENT)
        self._lock = Lock()
        self._pool: ThreadPoolExecutor
        self._threads = 1

    @property
    def ready(self) -> bool:
        return self.state == READY

    @property
    def manifest(self) -> Manifest:
        """Of one of its artifacts, for what they have in common. Raises NoProgramError."""
        return self.stage.engine.library.any_artifact().manifest

    @property
    def identity(self) -> str:
        """Of one of its artifacts. Raises NoProgramError if no program is built yet."""
        return self.stage.engine.library.any_artifact().identity

    def warm_up(self) -> None:
        """Run every program once on every core; then the model is ready.

        Raises as `Stage`, and ClosedError if it was closed meanwhile.
        """
        try:
            self.stage.warm_up()
            self._threads = self.stage.images_at_once()
        except BaseException:
            with self._lock:
                self.state = CLOSED if self.state == CLOSED else FAILED
            raise
        with self._lock:
            if self.state == CLOSED:
                raise ClosedError(f"model {self.name} was closed while it was loaded")
            self._pool = ThreadPoolExecutor(self._threads, f"model-{self.name}")
            self.state = READY

    def submit(self, work: Callable[[], Done]) -> Future[Done]:
        """Have `work` done in a thread of the model; cancelling works until it begins.

        Raises QueueFullError if too many wait, ClosedError.
        """
        with self._lock:
            self.check_room()
            self.waiting += 1
            future = self._pool.submit(self._run, work)
        future.add_done_callback(self._dropped)
        return future

    def check_room(self) -> None:
        """Raises QueueFullError if too many wait, ClosedError if the model is not ready."""
        if not self.ready:
            raise ClosedError(f"model {self.name} is {self.state} and takes no more work")
        if self.waiting + self.running >= self.most:
            after_s = self.retry_after_s
            raise QueueFullError(
                f"{self.waiting} requests wait for model {self.name}; send this one again in "
                f"{after_s} s",
                after_s,
            )

    @property
    def works(self) -> bool:
        """Whether a core is left in service."""
        seen = self.snapshot()
        return seen is None or seen.cores_in_service > 0

    def snapshot(self) -> Optional[Snapshot]:
        """How its cores are doing; None if none was opened yet."""
        return self.stage.engine.snapshot()

    @property
    def most(self) -> int:
        """How many requests it can hold at once."""
        return self._threads + self._queue

    @property
    def retry_after_s(self) -> int:
        """In how many seconds there should be room for another request."""
        recent = list(self._recent_s)
        mean_s = sum(recent) / len(recent) if recent else 1.0
        return max(1, math.ceil(mean_s * self.waiting / self._threads))

    def close(self) -> None:
        """Finish what was submitted, and give the cores back."""
        with self._lock:
            opened, self.state = self.ready, CLOSED
        if opened:
            self._pool.shutdown(wait=True)
        self.stage.close()

    def _run(self, work: Callable[[], Done]) -> Done:
        begun_s = time.monotonic()
        with self._lock:
            self.waiting -= 1
            self.running += 1
        try:
            return work()
        finally:
            with self._lock:
                self.running -= 1
                self._recent_s.append(time.monotonic() - begun_s)

    def _dropped(self, future: Future[Done]) -> None:
        if future.cancelled():
            with self._lock:
                self.waiting -= 1
