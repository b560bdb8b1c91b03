"""The two stores of a job: one has the images, the other gets the results."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from depth.errors import InputError
from depth.files import make_folders
from depth.store.objects import ObjectStore, open_store

_S3 = "s3://"


@dataclass(frozen=True)
class Places:
    """outside: below this prefix the store of the images has results; "" if it has none."""

    images: ObjectStore
    results: ObjectStore
    outside: str


@contextmanager
def open_places(source: str, target: str, endpoint_url: Optional[str]) -> Iterator[Places]:
    """The stores at s3://bucket/prefix or in folders, until the block ends.

    A folder for results is made. Raises InputError if both are the same place, and as `open_store`.
    """
    outside = _outside(_parts(source), _parts(target))
    with ExitStack() as stack:
        if not target.startswith(_S3) and "://" not in target:
            make_folders(Path(target))
        images, results = (
            stack.enter_context(open_store(each, endpoint_url if each.startswith(_S3) else None))
            for each in (source, target)
        )
        yield Places(images, results, outside)


def _parts(location: str) -> list[str]:
    """Bucket and prefix, or the real path of a folder, in parts."""
    if location.startswith(_S3):
        return [_S3, *location[len(_S3) :].strip("/").split("/")]
    return os.path.realpath(location).split("/")


def _outside(source: list[str], target: list[str]) -> str:
    if source == target:
        raise InputError(
            "images and results are in the same place: the results would be the next run's "
            "images; name another prefix for the results"
        )
    inside = target[: len(source)] == source
    return "/".join(target[len(source) :]) + "/" if inside else ""
