"""The scenes of a service: its root, its tasks and its model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from depth.errors import InputError
from depth.scenes.export import DESCRIPTION
from serve.service.kept.folder import Upload
from serve.service.scenes.frames import is_video
from serve.service.scenes.model import SceneModel
from serve.service.scenes.request import InferenceRequest, SceneOptions, refused
from serve.service.scenes.root import Root
from serve.service.scenes.task import PENDING, RUNNING, Task
from serve.service.scenes.tasks import Tasks
from serve.service.scenes.worker import SceneWorker


class Backend:
    """What the routes of scenes share.

    root   the folder that callers may name paths in; it also keeps the tasks
    alone  the service has no model of single images
    first  load the model at the start, not for the first task

    Raises InputError for a root that cannot be used, or that another service has.
    """

    def __init__(
        self, root: Path, model: SceneModel, alone: bool = True, first: bool = False
    ) -> None:
        self.root = Root(root)
        self.tasks = Tasks(self.root.tasks)
        self.model = model
        self.alone = alone
        self._first = first
        self._worker = SceneWorker(self.tasks, self.root, model)

    @property
    def ready(self) -> bool:
        """Whether tasks begin at once."""
        return self.model.loaded or not self._first

    def start(self) -> None:
        """Begin with the tasks that wait. Raises what loading the model raises."""
        if self._first:
            self.model.get()
        self._worker.start()

    def close(self) -> None:
        """Give up the task under way, which the next service with this root begins again."""
        self._worker.close()
        self.model.close()
        self.tasks.close()

    def check(self, request: SceneOptions, names: Sequence[str]) -> None:
        """Raise RequestError (422) for what cannot be done, before any of it is done.

        names  of the images, or of a video
        """
        request.check(len(names))
        where = "image_paths"
        try:
            is_video(names)
            if isinstance(request, InferenceRequest):
                for number, path in enumerate(request.image_paths):
                    where = f"image_paths.{number}"
                    self.root.file(path)
            where = "export_dir"
            if request.export_dir is not None:
                folder = self.root.new_folder(request.export_dir)
                if os.path.lexists(folder / DESCRIPTION):
                    raise InputError("the folder has a scene already; name another")
        except InputError as error:
            raise refused(where, str(error)) from error

    def submit(self, upload: Upload, request: SceneOptions, names: tuple[str, ...]) -> Task:
        """A new task of a request that was checked. Raises OSError."""
        waiting = any(task.status in (PENDING, RUNNING) for task in self.tasks.all)
        task = self.tasks.add(upload, request, names)
        if waiting and task.status == PENDING:
            task.message = "Task queued (waiting for the tasks before it)"
        return task

    def listed(self) -> dict[str, Any]:
        """The answer of /tasks."""
        tasks = [task.about() for task in self.tasks.all]
        active = [each for each in tasks if each["status"] in (PENDING, RUNNING)]
        ended = [each for each in tasks if each["status"] not in (PENDING, RUNNING)]
        return {
            "tasks": tasks,
            "active_tasks": active,
            "completed_tasks": ended,
            "active_count": len(active),
            "total_count": len(tasks),
        }
