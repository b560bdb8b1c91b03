"""The thread that makes the scenes of tasks, one at a time: images in, files out."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from depth.errors import DepthAnythingError
from depth.scenes.export import export_scene
from depth.scenes.scene import Scene
from serve.errors import GivenUpError, ServeError
from serve.service.kept.thread import JobThread
from serve.service.scenes.frames import frames_of, is_video
from serve.service.scenes.model import SceneModel
from serve.service.scenes.root import Root
from serve.service.scenes.task import CANCELLED, COMPLETED, FAILED, Task
from serve.service.scenes.tasks import Tasks

logger = logging.getLogger(__name__)

# Upstream's figures: the model is loaded at 0.2, and the network is done at 0.9.
_LOADING, _LOADED, _MADE = 0.1, 0.2, 0.9
_SHARES = {  # where a step of a scene begins and ends
    "read": (_LOADED, 0.3),
    "prefix": (0.3, 0.5),
    "trunk": (0.5, 0.65),
    "head": (0.65, 0.85),
    "metric": (0.85, _MADE),
}


class SceneWorker(JobThread[Task]):
    """Works on the tasks of a service from `start` to `close`.

    `close` gives up the task under way; the next start of the service begins it again.
    """

    def __init__(self, tasks: Tasks, root: Root, model: SceneModel) -> None:
        super().__init__("scenes", tasks, self._tried)
        self._root = root
        self._model = model

    def _tried(self, task: Task) -> None:
        begun_s = time.monotonic()
        try:
            task.begin()
            self._export(task, self._scene(task))
        except Exception as error:
            self._end(task, error, time.monotonic() - begun_s)
        else:
            took_s = time.monotonic() - begun_s
            each_s = took_s / task.views
            task.finish(COMPLETED, f"Completed in {took_s:.2f}s ({each_s:.2f}s per image)")
        logger.info("task %s: %s", task.id, task.status)

    def _scene(self, task: Task) -> Scene:
        def given_up() -> bool:
            return self.closing.is_set() or task.cancelled.is_set() or task.removed

        def on_frame(count: int) -> None:
            task.tell(0.0, f"frames: {count} taken")
            if given_up():
                raise GivenUpError("given up")

        def on_step(step: str, done: int, count: int) -> None:
            low, high = _SHARES.get(step, (_LOADED, _LOADED))
            task.tell(low + (high - low) * done / max(1, count), f"{step}: {done} of {count}")

        uploads = [task.upload(f"{number:05}") for number in range(len(task.names))]
        images, names = uploads or [self._root.file(path) for path in task.paths], task.names
        if is_video(task.paths):
            images = frames_of(images[0], task.request.video_fps, task.frames, on_frame)
            names = tuple(image.name for image in images)
        asked = task.request.asked(len(images), names)
        task.tell(_LOADING, "Loading model...")
        make = self._model.get()
        task.tell(_LOADED, f"Running model inference on {len(images)} images...")
        scene = make(images, asked, on_step, given_up)
        if task.cancelled.is_set():
            raise GivenUpError("cancelled")
        return scene

    def _export(self, task: Task, scene: Scene) -> None:
        """Write the files of a task, and then give them names in the caller's folder."""
        task.tell(_MADE, "Writing files...")
        request = task.request
        written = export_scene(scene, task.results, request.formats, request.options())
        if request.export_dir is not None:
            folder = self._root.new_folder(request.export_dir)
            names = [str(Path(path).relative_to(task.results)) for path in written]
            self._root.place(task.results, names, folder)

    def _end(self, task: Task, error: Exception, took_s: float) -> None:
        if task.cancelled.is_set():
            task.finish(CANCELLED, "cancelled")
        elif self.closing.is_set():
            task.again()
        else:
            said = str(error) or repr(error)
            if not isinstance(error, (DepthAnythingError, ServeError)):
                logger.exception("task %s: unexpected error", task.id)
                said = "a fault of the service; its log has more"
            task.finish(FAILED, f"Failed after {took_s:.2f}s: {said}")
