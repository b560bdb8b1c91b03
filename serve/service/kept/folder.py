"""The jobs that a service keeps in a folder: taken whole, removed when a caller says so."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from threading import Condition, Lock
from typing import Generic, Optional, TypeVar

from depth.errors import InputError
from depth.files import lock_now, make_folders, remove_left_over, sync_folder, sync_tree
from serve.errors import QueueFullError, ServeError

logger = logging.getLogger(__name__)

MAX_JOBS = 1000
MAX_BYTES = 20_000_000_000  # of the uploads of all jobs that are not over
UPLOADS = "images"  # the folder of a job that has its uploads
_NEW, _GONE = ".new-", ".gone-"  # folders that are no jobs yet, or no jobs any more


class UnknownJobError(ServeError):
    """The service has no job of this id."""


@dataclass(eq=False)
class KeptJob(ABC):
    """A job in a folder of its own, whose name is the job's id. Safe in any thread."""

    folder: Path
    size_bytes: int  # of the uploads
    created: str  # jobs are worked on in this order
    removed: bool = field(default=False, init=False)  # nothing may be written any more
    writing: Lock = field(default_factory=Lock, init=False)  # held while a result is written

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether nothing is left to do."""

    @abstractmethod
    def save(self) -> None:
        """Write what was asked into the folder. Raises OSError."""

    @property
    def written(self) -> Iterable[Path]:
        """The folders in which a killed process may have left temporary files."""
        return [self.folder]

    def upload(self, name: str) -> Path:
        return self.folder / UPLOADS / name


Kept = TypeVar("Kept", bound=KeptJob)


class JobFolder(ABC, Generic[Kept]):
    """Jobs by id, the oldest first. Safe in any thread.

    Raises InputError for a folder that cannot be used, or that another service has.
    """

    def __init__(self, folder: Path) -> None:
        self.changed = Condition()
        self._folder = folder
        self._jobs: dict[str, Kept] = {}
        self._uploading_bytes = 0
        try:
            make_folders(folder)
            self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            lock_now(self._handle)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another service keeps its jobs there") from error
        except OSError as error:
            raise InputError(f"{folder}: cannot keep jobs: {error.strerror}") from error
        self._read_all()

    @abstractmethod
    def read(self, folder: Path) -> Kept:
        """The job in a folder. Raises InputError for what is none of this version."""

    @property
    def all(self) -> list[Kept]:
        with self.changed:
            return list(self._jobs.values())

    def find(self, job_id: str) -> Kept:
        """Raises UnknownJobError."""
        with self.changed:
            if job_id not in self._jobs:
                raise UnknownJobError("there is no such job; it may have been deleted")
            return self._jobs[job_id]

    @contextmanager
    def uploading(self, job_id: str = "") -> Iterator[Upload]:
        """A folder for the uploads of a new job. Raises QueueFullError if too many are kept."""
        with self.changed:
            if len(self._jobs) >= MAX_JOBS:
                raise QueueFullError(f"{MAX_JOBS} jobs are kept; delete finished jobs", 60)
        upload = Upload(self, self._folder / f"{_NEW}{job_id or secrets.token_hex(16)}")
        (upload.folder / UPLOADS).mkdir(parents=True)
        try:
            yield upload
        finally:
            shutil.rmtree(upload.folder, ignore_errors=True)
            self.count(-upload.size_bytes)

    def count(self, size_bytes: int) -> None:
        """Count bytes of uploads. Raises QueueFullError if all take too many."""
        with self.changed:
            self._uploading_bytes += size_bytes
            kept_bytes = sum(job.size_bytes for job in self._jobs.values() if not job.over)
            if size_bytes > 0 and kept_bytes + self._uploading_bytes > MAX_BYTES:
                raise QueueFullError("too many uploads wait already; try again later", 60)

    def put(self, job: Kept) -> Kept:
        """Keep a job in the folder of an upload. It is on the disk at the end. Raises OSError."""
        folder = job.folder.with_name(job.folder.name[len(_NEW) :])
        job.save()
        sync_tree(job.folder)
        job.folder.rename(folder)
        sync_folder(self._folder)
        job.folder = folder
        with self.changed:
            self._jobs[job.id] = job
            self.changed.notify_all()
        return job

    def remove(self, job_id: str) -> None:
        """End a job and delete all that it has. Raises UnknownJobError."""
        with self.changed:
            job = self._jobs.pop(job_id, None)
        if job is None:
            raise UnknownJobError("there is no such job; it may have been deleted")
        with job.writing:
            job.removed = True
            gone = job.folder.with_name(f"{_GONE}{job.id}")
            job.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def next(self) -> Optional[Kept]:
        """The oldest job that is not over."""
        with self.changed:
            return next((job for job in self._jobs.values() if not job.over), None)

    def wake(self) -> None:
        """Have the thread look for work."""
        with self.changed:
            self.changed.notify_all()

    def close(self) -> None:
        """Leave the folder to another service."""
        os.close(self._handle)

    def _read_all(self) -> None:
        found = []
        for folder in sorted(self._folder.iterdir()):
            if folder.name.startswith((_NEW, _GONE)):
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.is_dir() and not folder.name.startswith("."):
                try:
                    found.append(self.read(folder))
                except InputError as error:
                    logger.warning("%s", error)
        for job in sorted(found, key=lambda each: each.created):
            remove_left_over(job.written)
            self._jobs[job.id] = job


class Upload:
    """The folder of uploads that are no job yet."""

    def __init__(self, jobs: JobFolder[Kept], folder: Path) -> None:
        self.folder = folder
        self.size_bytes = 0
        self._jobs = jobs

    def add(self, size_bytes: int) -> None:
        """Count bytes that came. Raises QueueFullError if all uploads take too many."""
        self.size_bytes += size_bytes
        self._jobs.count(size_bytes)


def now() -> str:
    """UTC time, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
