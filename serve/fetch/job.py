"""The results of a job over stores into a folder, as a folder job would have left them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Optional

from depth.errors import DepthFileError, InputError, TooLargeError
from depth.family import DEPTH
from depth.files import make_folders, remove_left_over
from depth.maps.meta import MAX_JSON_BYTES, parse_sidecar
from depth.store.objects import ObjectStore
from serve.errors import NoImagesError
from serve.fetch.copying import Copying
from serve.fetch.found import Described, Found
from serve.fetch.names import Names, maps_of
from serve.fetch.place import JobFolder
from serve.jobs.entry import FAILED, Entry, OnEntry, Report
from serve.jobs.objects.run import Attempts
from serve.jobs.preset import write_file_of_all
from serve.jobs.stop import Stop
from serve.jobs.threads import each

_AT_ONCE = 16  # results
_TRIES = 9  # results that are looked at for the names of maps
_OUTSIDE = (
    "its key is no path of a file below a folder: it has an empty part, or a part that begins "
    "with a dot"
)


def run_fetch(
    store: ObjectStore,
    job: JobFolder,
    found: Found,
    out: Path,
    on_entry: OnEntry = lambda *_: None,
    stop: Optional[Stop] = None,
) -> Report:
    """Copy results into a folder, which is made; `on_entry` gets every entry.

    A file that is there and has its hash is kept. With the last image come the files that a preset
    has for all images. Raises NoImagesError for no results, InputError for a folder that cannot be
    made, StoreError, and DepthFileError if the disk refuses a file of all images.
    """
    stop = stop or Stop()
    report = Report(len(found.results) + len(found.refused))
    if not report.total:
        raise NoImagesError(f"{store.name}/{job.prefix}: no results in it yet; run the job first")
    names = Names(job.settings, _maps(store, found.results.values()))
    copying = Copying(store, out, names, names.stems(list(found.results)))
    _make(out, copying.folders())

    def take(entry: Entry) -> None:
        report.add(entry)
        on_entry(entry, report.total)

    for image in found.refused:
        take(Entry(image, FAILED, reason=_OUTSIDE))
    attempts = Attempts(copying, stop)
    with closing(each(found.results.values(), attempts, _AT_ONCE, stop.requested)) as entries:  # type: ignore[type-var]
        for entry in entries:
            take(entry)
    report.stopped = stop.reason
    if not report.left:
        write_file_of_all(job.settings.preset_name, copying.done.values(), out)
    return report


def _maps(store: ObjectStore, results: Iterable[Described]) -> tuple[str, ...]:
    """The names of the maps of every result, as most of the first results have them."""
    seen: Counter[tuple[str, ...]] = Counter()
    for result in islice(results, _TRIES):
        with suppress(DepthFileError, TooLargeError):
            found = store.read(result.key, MAX_JSON_BYTES)
            if found is not None:
                seen[maps_of(parse_sidecar(found.data))] += 1
    return seen.most_common(1)[0][0] if seen else (DEPTH,)


def _make(out: Path, folders: Iterable[Path]) -> None:
    """Make the folder, and remove what killed fetches left in it. Raises InputError."""
    try:
        make_folders(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be made: {error.strerror}; name another folder") from error
    remove_left_over(folders)
