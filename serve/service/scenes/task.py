"""A task: a folder that says all that is known of the scene which it makes.

ID/task.json     what was asked, written first
ID/images/00000  the images that a request brought, by number, until the task is completed
ID/started.json  the task has begun; with this and no over.json its process was killed
ID/frames/…      the frames of a video, while the task runs
ID/results/…     the files of the scene
ID/over.json     how it ended, written last
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Optional

from depth.errors import InputError
from depth.files import read_text, write_whole
from serve.service.kept.folder import UPLOADS, KeptJob
from serve.service.scenes.request import InferenceRequest, SceneOptions

PENDING, RUNNING = "pending", "running"
COMPLETED, FAILED, CANCELLED = ENDS = ("completed", "failed", "cancelled")

_FORMAT = 1
_MAX_BYTES = 20_000_000
_INTERRUPTED = "interrupted: the service ended while the task ran; submit it again"


@dataclass(eq=False)
class Task(KeptJob):
    """What was asked, and the folder with the rest. Safe in any thread.

    request  of a caller whose images are on the server, or the options of one that sent them
    names    of the images in the folder; none of a caller whose images are on the server
    """

    request: SceneOptions
    names: tuple[str, ...]
    end: dict[str, Any] = field(default_factory=dict)  # what over.json says
    started: Optional[float] = None  # s of time.time()
    progress: Optional[float] = None  # 0 to 1
    message: str = "Task submitted"
    cancelled: Event = field(default_factory=Event)

    @property
    def over(self) -> bool:
        return bool(self.end)

    @property
    def status(self) -> str:
        if self.over:
            return str(self.end["status"])
        return PENDING if self.started is None else RUNNING

    @property
    def views(self) -> int:
        return len(self.paths)

    @property
    def paths(self) -> tuple[str, ...]:
        """Of the images, as the caller names them."""
        if isinstance(self.request, InferenceRequest):
            return tuple(self.request.image_paths)
        return self.names

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def frames(self) -> Path:
        return self.folder / "frames"

    def files(self) -> Iterator[Path]:
        """The files of the result, if the task is completed."""
        if self.status == COMPLETED:
            yield from sorted(path for path in self.results.rglob("*") if path.is_file())

    def save(self) -> None:
        said = {
            "format": _FORMAT,
            "created": self.created,
            "size_bytes": self.size_bytes,
            "names": self.names,
            "request": self.request.model_dump(exclude_unset=True),
        }
        write_whole(self.folder / "task.json", json.dumps(said))

    def begin(self) -> None:
        """The task runs from now on. Raises OSError."""
        self.started = time.time()
        self.tell(0.0, f"Starting inference on {self.views} frames...")
        write_whole(self.folder / "started.json", json.dumps({"started": self.started}))
        self._clear(self.frames, self.results)  # of an earlier try

    def tell(self, progress: float, message: str) -> None:
        """How far it is. It never goes back while it runs."""
        self.progress = max(progress, self.progress or 0.0)
        self.message = message

    def finish(self, status: str, message: str) -> None:
        """The end of the task, unless it has ended. With a result its uploads go, else its files.

        Raises OSError.
        """
        with self.writing:
            if self.removed or self.over:
                return
            over = self.folder / UPLOADS if status == COMPLETED else self.results
            self._clear(self.frames, over)
            end = {"status": status, "message": message[:2000], "completed": time.time()}
            write_whole(self.folder / "over.json", json.dumps({**end, "started": self.started}))
            self.message, self.progress = message, 1.0 if status == COMPLETED else self.progress
            self.end = end

    def again(self) -> None:
        """Back to the time before it began. Raises OSError."""
        with self.writing:
            if self.removed:
                return
            for name in ("over.json", "started.json"):
                (self.folder / name).unlink(missing_ok=True)
            self._clear(self.frames, self.results)
            self.cancelled.clear()
            self.started = self.progress = None
            self.message, self.end = "Task submitted", {}

    def _clear(self, *folders: Path) -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    def about(self) -> dict[str, Any]:
        """What a caller may know, under upstream's names."""
        paths = self.paths
        return {
            "task_id": self.id,
            "status": self.status,
            "message": f"[{self.id}] {self.message}",
            "progress": self.progress,
            "created_at": float(self.created),
            "started_at": self.started,
            "completed_at": self.end.get("completed"),
            "export_dir": self.request.export_dir,
            "request": {**self.request.model_dump(), "image_paths": paths},
            "num_images": len(paths),
            "export_format": self.request.export_format,
            "process_res_method": self.request.process_res_method,
            "video_path": paths[0],
        }


def read_task(folder: Path) -> Task:
    """The task in a folder. Raises InputError for what is none of this version.

    A task that ran when its process was killed has failed, and over.json says so from now on.
    """
    try:
        said = json.loads(read_text(folder / "task.json", _MAX_BYTES))
        if said["format"] != _FORMAT:
            raise ValueError("of another version")
        names = tuple(said["names"])
        kind = SceneOptions if names else InferenceRequest
        request = kind.model_validate(said["request"])
        task = Task(folder, said["size_bytes"], said["created"], request, names)
        float(task.created)
        _read_end(task)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{folder}: no task: {error}; move it away") from error
    return task


def _read_end(task: Task) -> None:
    with suppress(FileNotFoundError):
        said = json.loads(read_text(task.folder / "started.json", _MAX_BYTES))
        task.started = float(said["started"])
    try:
        said = json.loads(read_text(task.folder / "over.json", _MAX_BYTES))
    except FileNotFoundError:
        if task.started is not None:
            task.finish(FAILED, _INTERRUPTED)
        return
    if said["status"] not in ENDS:
        raise ValueError(f"status {said['status']!r}")
    task.end, task.message = said, str(said["message"])
    task.progress = 1.0 if task.status == COMPLETED else None
