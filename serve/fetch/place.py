"""The folder of a job's results in a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from depth.console import one_line
from depth.errors import InputError
from depth.store.objects import ObjectStore
from serve.jobs.objects.settings import JobSettings, read_settings

_MOST = 1000  # folders that are looked into
_SHOWN = 20  # jobs in a message


@dataclass(frozen=True)
class JobFolder:
    """prefix: of its keys, "" or with / at its end."""

    prefix: str
    settings: JobSettings


def job_folder(store: ObjectStore) -> JobFolder:
    """The only job folder of a store, or the store itself if it is such a folder.

    Raises InputError for a store with none, or that lists several, and StoreError.
    """
    own = read_settings(store, "")
    if own is not None:
        return JobFolder("", own)
    found = []
    for name in islice(_tops(store), _MOST):
        settings = read_settings(store, f"{name}/")
        if settings is not None:
            found.append(JobFolder(f"{name}/", settings))
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(_several(store, found))
    raise InputError(
        f"{store.name}: has no folder of a job's results, such as vits-inf1-3f2a9c0d11be with its "
        "settings.json; name the place that the job wrote to"
    )


def check_apart(location: str, job: JobFolder, out: Path) -> None:
    """Raises InputError for a folder that is the place of the results, or in their folder.

    location  of the store, as `open_store` takes it
    """
    scheme, separator, rest = location.rpartition("://")
    if separator and scheme != "file":
        return
    place, target = Path(os.path.realpath(rest)), Path(os.path.realpath(out))
    if target == place or place / job.prefix in (target, *target.parents):
        raise InputError(f"{out}: the results lie there; name another folder for OUT")


def _tops(store: ObjectStore) -> Iterator[str]:
    """The names of the store's folders. Each takes a listing of its own, whatever is in it."""
    after = ""
    while found := next((each.key for each in store.listed("", after) if "/" in each.key), ""):
        name = found.partition("/")[0]
        yield name
        after = f"{name}0"  # 0 follows / in the order of keys


def _several(store: ObjectStore, found: list[JobFolder]) -> str:
    lines = [
        f"  {one_line(f'{store.name}/{each.prefix}')[:-1]}  ({one_line(each.settings.text)})"
        for each in found[:_SHOWN]
    ]
    more = [f"  and {len(found) - _SHOWN} more"] * (len(found) > _SHOWN)
    head = f"{store.name}: has the results of {len(found)} jobs; name the folder of one job:"
    return "\n".join([head, *lines, *more])
