"""A batch job: a folder that says all that is known of it.

ID/job.json       what was asked, written first
ID/images/00000   the uploads by number, until the job is over
ID/depth/NAME.*   the results; an image is done once its .json is there
ID/failed/00000   why an image failed
ID/over.json      the end of the job, written last
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Optional

from depth.console import one_line
from depth.errors import InputError
from depth.files import read_text, write_whole
from depth.maps.files import SIDECAR_SUFFIX
from serve.service.kept.folder import UPLOADS, KeptJob, now

DONE, FAILED, WAITING = "done", "failed", "waiting"  # of an image
QUEUED, RUNNING = "queued", "running"  # of a job, besides done and failed
_FORMAT = 1
_MAX_BYTES = 10_000_000
_MAX_NAME = 100  # characters
_ODD = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Image:
    """An upload of a job: `name` as the caller has it, `stem` of its results."""

    number: int
    name: str
    stem: str

    @property
    def file(self) -> str:
        return f"{self.number:05}"


@dataclass(eq=False)
class Job(KeptJob):
    """What was asked, and the folder with the rest. Safe in any thread."""

    model: str
    formats: Sequence[str]
    preview: bool
    images: Sequence[Image]
    running: bool = False

    @property
    def over(self) -> bool:
        return (self.folder / "over.json").exists()

    @property
    def results(self) -> Path:
        return self.folder / "depth"

    @property
    def written(self) -> Iterable[Path]:
        return [self.folder, self.results, self.folder / "failed"]

    def is_done(self, image: Image) -> bool:
        return (self.results / f"{image.stem}{SIDECAR_SUFFIX}").exists()

    def waiting(self) -> Iterator[Image]:
        """The images without a result or a failure, read when asked."""
        for image in self.images:
            if not (self.is_done(image) or self._failure(image).exists()):
                yield image

    def fail(self, image: Image, reason: str) -> None:
        """Note why an image failed."""
        with self.writing:
            if not self.removed:
                self._failure(image).parent.mkdir(exist_ok=True)
                write_whole(self._failure(image), json.dumps({"reason": reason[:2000]}))

    def end(self) -> None:
        """Every image is done or failed; the uploads go."""
        with self.writing:
            if not self.removed:
                write_whole(self.folder / "over.json", json.dumps({"finished": now()}))
                shutil.rmtree(self.folder / UPLOADS, ignore_errors=True)

    def save(self) -> None:
        """Write job.json. Raises OSError."""
        said = {
            "format": _FORMAT,
            "model": self.model,
            "formats": list(self.formats),
            "preview": self.preview,
            "images": [asdict(image) for image in self.images],
            "size_bytes": self.size_bytes,
            "created": self.created,
        }
        write_whole(self.folder / "job.json", json.dumps(said))

    def about(self, url: str, with_images: bool) -> dict[str, Any]:
        """What a caller may know. `url`: of the job."""
        files: dict[str, dict[str, str]] = {}
        with suppress(OSError):
            for path in sorted(self.results.iterdir()):
                stem, _, kind = path.name.partition(".")
                if stem:  # a hidden file is being written
                    files.setdefault(stem, {})[kind] = f"{url}/files/{path.name}"
        images = [self._about(image, files.get(image.stem, {})) for image in self.images]
        counts = {status: sum(each["status"] == status for each in images) for status in _STATUSES}
        state = RUNNING if self.running else QUEUED
        finished = None
        if self.over:
            state = FAILED if counts[FAILED] == len(images) else DONE
            finished = json.loads(read_text(self.folder / "over.json", _MAX_BYTES))["finished"]
        return {
            "job": self.id,
            "state": state,
            "model": self.model,
            "total": len(images),
            "done": counts[DONE],
            "failed": counts[FAILED],
            "created": self.created,
            "finished": finished,
            **({"images": images} if with_images else {}),
        }

    def _about(self, image: Image, files: dict[str, str]) -> dict[str, Any]:
        if SIDECAR_SUFFIX[1:] in files:
            return {"name": image.name, "status": DONE, "reason": "", "files": files}
        reason = None
        with suppress(OSError):
            reason = json.loads(read_text(self._failure(image), _MAX_BYTES))["reason"]
        status = WAITING if reason is None else FAILED
        return {"name": image.name, "status": status, "reason": reason or "", "files": {}}

    def _failure(self, image: Image) -> Path:
        return self.folder / "failed" / image.file


_STATUSES = (DONE, FAILED, WAITING)


def read_job(folder: Path) -> Job:
    """The job in a folder. Raises InputError for what is none of this version."""
    try:
        said = json.loads(read_text(folder / "job.json", _MAX_BYTES))
        if said.pop("format") != _FORMAT:
            raise InputError(f"{folder}: a job of another version; move it away")
        images = [Image(**each) for each in said.pop("images")]
        return Job(folder, images=images, **said)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{folder}: no batch job: {error}; move it away") from error


def images_of(names: Sequence[Optional[str]]) -> list[Image]:
    """Images for uploads of these names: no result has a path or the name of another result."""
    found, taken = [], set()
    for number, given in enumerate(names):
        name = one_line(PurePosixPath((given or "").replace("\\", "/")).name)[:_MAX_NAME]
        plain = _ODD.sub("-", PurePosixPath(name).stem).strip("-") or "image"
        stem, again = plain, 1
        while stem.casefold() in taken:
            again += 1
            stem = f"{plain}-{again}"
        taken.add(stem.casefold())
        found.append(Image(number, name or f"image {number + 1}", stem))
    return found
