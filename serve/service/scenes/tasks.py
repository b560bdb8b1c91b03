"""The tasks of a service, in the folder `.tasks` of its root."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from serve.service.failures import RequestError
from serve.service.kept.folder import JobFolder, UnknownJobError, Upload
from serve.service.scenes.request import SceneOptions
from serve.service.scenes.task import (
    CANCELLED,
    COMPLETED,
    PENDING,
    RUNNING,
    Task,
    read_task,
)

MAX_IMAGES = 1000  # that a request brings
MAX_TASK_BYTES = 2_000_000_000
KEPT_S, KEPT_TASKS = 600, 100  # what `clean` leaves of finished tasks: upstream's figures


class Tasks(JobFolder[Task]):
    """Tasks in a folder. Raises as `JobFolder`."""

    def read(self, folder: Path) -> Task:
        return read_task(folder)

    def find(self, job_id: str) -> Task:
        try:
            return super().find(job_id)
        except UnknownJobError as error:
            raise RequestError(404, "Task not found", detail="Task not found") from error

    def add(self, upload: Upload, request: SceneOptions, names: tuple[str, ...] = ()) -> Task:
        """Make a task of uploads, or of none. It is on the disk at the end. Raises OSError."""
        created = f"{time.time():.6f}"
        return self.put(Task(upload.folder, upload.size_bytes, created, request, names))

    def delete(self, task_id: str) -> None:
        """Remove a task and its results. Raises RequestError: 404, and 400 before its end."""
        if not self.find(task_id).over:
            raise _refused("Cannot delete running or pending tasks; cancel the task first")
        self.remove(task_id)

    def cancel(self, task_id: str) -> None:
        """End a task as soon as it can. Raises RequestError: 404, and 400 after its end."""
        task = self.find(task_id)
        if task.over:
            raise _refused(f"the task is {task.status} already")
        task.cancelled.set()
        if task.status == PENDING:
            task.finish(CANCELLED, "cancelled before it began")

    def again(self, task_id: str) -> None:
        """Have a task without a result run again. Raises RequestError: 404, and 400."""
        task = self.find(task_id)
        if not task.over or task.status == COMPLETED:
            raise _refused(f"the task is {task.status}: only failed and cancelled tasks run again")
        task.again()
        self.wake()

    def clean(self) -> None:
        """Remove tasks that ended ten minutes ago, and all but the last hundred."""
        ended = [task for task in self.all if task.over]
        old = [task for task in ended if time.time() - task.end["completed"] > KEPT_S]
        for task in {*old, *ended[: max(0, len(self.all) - KEPT_TASKS)]}:
            self.remove(task.id)

    @property
    def running(self) -> bool:
        return any(task.status == RUNNING for task in self.all)


def new_id() -> str:
    """Of a task: nobody can guess it."""
    return str(uuid.uuid4())


def _refused(message: str) -> RequestError:
    return RequestError(400, message, detail=message)
