"""The newest result of each image, by a listing of a job's folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from depth.console import one_line
from depth.images.listing import is_image_name
from depth.store.objects import ObjectStore
from serve.jobs.objects.keys import described

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Described:
    """A result. key: of its .json."""

    image: str
    key: str
    modified: datetime


@dataclass
class Found:
    """results: by image, in the order of keys. refused: images whose keys are no paths."""

    results: dict[str, Described] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    older: int = 0  # results that a newer result of the same image replaces
    tied: set[str] = field(default_factory=set)  # images with two newest results of one date


def find(store: ObjectStore, prefix: str, on_count: Callable[[int], None]) -> Found:
    """List the results below a prefix; `on_count` gets how many there are so far.

    The newest is that whose .json has the latest date in the listing. Raises StoreError.
    """
    found, count = Found(), 0
    for each in store.listed(prefix):
        image = described(each.key[len(prefix) :])
        if not image or not is_image_name(image.rpartition("/")[2]):
            continue
        count += 1
        on_count(count)
        if not _is_path(image):
            found.refused.append(image)
        else:
            _take(found, Described(image, each.key, each.modified))
    _say(found)
    return found


def _is_path(image: str) -> bool:
    """Whether a key names a file below a folder, and no hidden file."""
    return "\0" not in image and not any(
        not part or part.startswith(".") for part in image.split("/")
    )


def _take(found: Found, result: Described) -> None:
    before = found.results.get(result.image)
    if before is not None:
        found.older += 1
        if before.modified == result.modified:
            found.tied.add(result.image)
        elif before.modified < result.modified:
            found.tied.discard(result.image)
    if before is None or before.modified <= result.modified:
        found.results[result.image] = result


def _say(found: Found) -> None:
    if found.older:
        logger.warning(
            "left out %d of older versions of images: the result with the latest date comes",
            found.older,
        )
    for image in sorted(found.tied):
        logger.warning(
            "%s: two results have the same date, and %s is taken",
            one_line(image),
            one_line(found.results[image].key),
        )
