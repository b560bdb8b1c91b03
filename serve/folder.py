"""The folder job: every image in a folder to depth files in another, and a report.

An image whose outputs are already there, whole and made in the same way from the same bytes, is
kept. Deleting its .json has it made again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from depth_anything_v2.digest import sha256_file
from depth_anything_v2.image import SourceImage, list_images
from serve.batch import OnEntry, Report, Task, run_batch
from serve.depth_files import output_names, read_sidecar, write_depth
from serve.engine import Engine, Raw
from serve.errors import DepthFileError, NoImages
from serve.library import Size
from serve.names import output_bases

REPORT = "depth-report.jsonl"  # no output of an image can have this name


@dataclass(frozen=True)
class FolderJob:
    input: Path
    output: Path
    formats: Sequence[str] = ("png",)
    preview: bool = False
    remark: str = ""  # goes into every result's JSON

    def names(self, base: str) -> list[str]:
        """File names that a base name makes; the .json is the last."""
        return output_names(base, self.formats, self.preview)


def run_folder(engine: Engine, job: FolderJob, on_entry: OnEntry = lambda *_: None) -> Report:
    """Run the job and write its report; `on_entry` gets every entry as it is made.

    Raises NoImages if there is nothing to do, and what the library raises if programs for the
    images cannot be had. Failures of single images are in the report.
    """

    def write(task: Task, raw: Raw) -> list[Path]:
        source = _source(job, task, raw.prepared.source)
        return write_depth(engine.finish(raw), task.stem, job.formats, source, job.preview)

    def keep(task: Task, size: Size) -> list[Path]:
        return _kept(engine, job, task, size)

    report = run_batch(engine, _tasks(job), write, keep, on_entry)
    write_report(job.output, report)
    return report


def write_report(folder: Path, report: Report) -> None:
    """One JSON line per image, in the order of their names; outputs as paths inside `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for entry in sorted(report.entries, key=lambda e: e.image):
        inside = [Path(path).relative_to(folder).as_posix() for path in entry.outputs]
        lines.append(json.dumps({**asdict(entry), "outputs": inside}))
    temporary = folder / f".{REPORT}.tmp"
    temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    temporary.replace(folder / REPORT)


def _tasks(job: FolderJob) -> list[Task]:
    images = list_images(job.input)
    if not images:
        raise NoImages(f"{job.input}: no images in it; put some there, or name another --input")
    relative = [image.relative_to(job.input) for image in images]
    bases = output_bases(relative, job.names)
    return [
        Task(image, path.as_posix(), job.output / base)
        for image, path, base in zip(images, relative, bases)
    ]


def _source(job: FolderJob, task: Task, source: SourceImage) -> dict[str, Any]:
    """What a result's JSON says about its image."""
    return {
        "path": task.name,
        "sha256": source.sha256,
        "width_px": source.header.width_px,
        "height_px": source.header.height_px,
        "notes": [*source.notes, *([job.remark] if job.remark else [])],
    }


def _kept(engine: Engine, job: FolderJob, task: Task, size: Size) -> list[Path]:
    """The task's files if they are there, whole, from these bytes and made in this way."""
    paths = [task.stem.with_name(name) for name in job.names(task.stem.name)]
    try:
        meta = read_sidecar(paths[-1])
    except DepthFileError:
        return []
    made_by, expected = meta["provenance"], asdict(engine.provenance(size))
    listed = {entry["name"]: entry["bytes"] for entry in meta["files"].values()}
    if (
        any(made_by.get(key) != value for key, value in expected.items())
        or any(listed.get(path.name) != _size_bytes(path) for path in paths[:-1])
        or meta["source"].get("sha256") != sha256_file(task.image)
    ):
        return []
    return paths


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
