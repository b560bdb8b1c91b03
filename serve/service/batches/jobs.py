"""The batch jobs of a service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from serve.service.batches.job import Image, Job, read_job
from serve.service.kept.folder import JobFolder, Upload, now

MAX_IMAGES = 1000  # of a job
MAX_JOB_BYTES = 2_000_000_000


class Jobs(JobFolder[Job]):
    """Batch jobs in a folder. Raises as `JobFolder`."""

    def read(self, folder: Path) -> Job:
        return read_job(folder)

    def add(
        self, upload: Upload, model: str, formats: Sequence[str], preview: bool, images: list[Image]
    ) -> Job:
        """Make a job of uploads. It is on the disk when this returns. Raises OSError."""
        size_bytes = upload.size_bytes
        return self.put(Job(upload.folder, size_bytes, now(), model, formats, preview, images))
