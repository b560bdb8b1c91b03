"""Results of jobs over stores, fetched into folders, and folder jobs of the same images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from depth.store.objects import ObjectStore, open_store
from serve.engine import Engine
from serve.fetch.found import find
from serve.fetch.job import run_fetch
from serve.fetch.place import job_folder
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, Entry, OnEntry, Report
from serve.jobs.objects.making import Making
from serve.jobs.stop import Stop
from tests.support.folder_jobs import make_engine
from tests.support.object_jobs import MAKING, data, run


@dataclass
class Fetched:
    """A finished fetch: its report and its entries by image."""

    report: Report
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def fates(self) -> dict[str, str]:
        return {image: entry.status for image, entry in self.entries.items()}


def fetch(
    location: str,
    out: Path,
    url: Optional[str] = None,
    on_entry: OnEntry = lambda *_: None,
    stop: Optional[Stop] = None,
) -> Fetched:
    """Fetch what lies at a location."""
    fetched = Fetched(Report(0))

    def note(entry: Entry, total: int) -> None:
        assert entry.image not in fetched.entries
        fetched.entries[entry.image] = entry
        on_entry(entry, total)

    with open_store(location, url) as store:
        fetched.report = fetch_from(store, out, note, stop)
    return fetched


def fetch_from(
    store: ObjectStore, out: Path, on_entry: OnEntry = lambda *_: None, stop: Optional[Stop] = None
) -> Report:
    """Fetch from an open store."""
    job = job_folder(store)
    return run_fetch(store, job, find(store, job.prefix, lambda _: None), out, on_entry, stop)


def job_of(
    pair_source: str,
    pair_target: str,
    url: Optional[str] = None,
    making: Making = MAKING,
    engine: Optional[Engine] = None,
) -> str:
    """Run a job over stores on all images; returns the name of its folder."""
    engine = engine or make_engine()
    ran = run(pair_source, pair_target, url, making=making, engine=engine)
    assert set(ran.fates.values()) == {DONE}, ran.entries
    return making.made(engine.library).folder


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file but the manifest of a folder job, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def folder_job(
    images: ObjectStore, place: Path, making: Making, engine: Engine
) -> dict[str, bytes]:
    """The files of a folder job of the same images with the same options."""
    for each in images.listed(""):
        path = place / "in" / each.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data(images, each.key))
    job = FolderJob(
        place / "in",
        place / "out",
        formats=making.formats,
        preset=making.preset,
        preview=making.preview,
        fit=making.fitter(),
    )
    assert run_folder(engine, job).exit_code == 0
    return files_in(place / "out")


def differing(found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> list[str]:
    """Names of files that only one has, or that have other bytes."""
    return sorted(
        name for name in {*found, *wanted} if found.get(name, b"-") != wanted.get(name, b"+")
    )
