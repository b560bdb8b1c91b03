"""The thread that works on the jobs of a folder, one at a time, the oldest first."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic

from serve.service.kept.folder import JobFolder, Kept

logger = logging.getLogger(__name__)

_LATER_S = 5.0  # while nothing can be worked on


class JobThread(Generic[Kept]):
    """Works on jobs from `start` to `close`.

    work  does what it can of a job; a job that is not over comes again
    """

    def __init__(self, name: str, jobs: JobFolder[Kept], work: Callable[[Kept], None]) -> None:
        self.closing = threading.Event()
        self._jobs = jobs
        self._work = work
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Wait for the work under way; the next start goes on with the rest."""
        self.closing.set()
        self._jobs.wake()
        if self._thread.is_alive():
            self._thread.join()

    def pause(self) -> None:
        """Wait a while, for a job that cannot be worked on now."""
        self.closing.wait(_LATER_S)

    def _run(self) -> None:
        while not self.closing.is_set():
            with self._jobs.changed:
                job = self._jobs.next()
                if job is None:
                    self._jobs.changed.wait(_LATER_S)
                    continue
            try:
                self._work(job)
            except Exception:  # the thread goes on: other jobs may be whole
                logger.exception("job %s: unexpected error", job.id)
                self.pause()
