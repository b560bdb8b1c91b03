"""The images of a job by pages: which have a result already, and which need work.

Only one page of images and of results is in memory, whatever the number of objects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import Optional, Union

from depth.images.listing import is_image_name
from depth.store.objects import Listed, ObjectStore
from serve.jobs.entry import KEPT, Entry
from serve.jobs.objects.keys import Stored, span, tag_of, whole_results
from serve.jobs.objects.making import Made
from serve.jobs.objects.shard import Shard

PAGE = 1000  # images; S3 lists as many objects at a time


@dataclass(frozen=True)
class Waiting:
    """An image that needs work.

    tag    of its version, for the keys of its result
    known  results of other versions, by the digits of the image's hash
    check  the result of this version, whose files are to be compared with its .json first
    """

    image: str
    size_bytes: int
    tag: str
    known: Mapping[str, Stored] = field(default_factory=dict)
    check: Optional[Stored] = None


class Images:
    """The images of a shard below the prefix of a store, in the order of their keys.

    outside  what lies below this prefix of the same store is no image, such as the results; ""
             for nothing
    others   counts other objects by extension, as far as they were listed
    """

    def __init__(self, store: ObjectStore, shard: Shard, outside: str = "") -> None:
        self._store = store
        self._shard = shard
        self._outside = outside
        self.others: Counter[str] = Counter()

    def listed(self) -> Iterator[Listed]:
        """Every image. Raises StoreError."""
        for found in self._store.listed(""):
            parts = found.key.split("/")
            hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
            if hidden or not parts[-1] or (self._outside and found.key.startswith(self._outside)):
                continue
            if not is_image_name(parts[-1]):
                self.others[PurePosixPath(parts[-1]).suffix.lower()] += 1
            elif self._shard.has(found.key):
                yield found


def pages(
    images: Iterator[Listed], results: ObjectStore, made: Made, verify: bool = False
) -> Iterator[list[Union[Entry, Waiting]]]:
    """Pages of images: an entry for an image whose result is there, else what to work on.

    verify  work on every image: what is there is compared with its hashes

    Raises StoreError.
    """
    while page := list(islice(images, PAGE)):
        least, most = span(made.folder, [found.key for found in page])
        there = whole_results(
            made.folder, made.suffixes, results.listed(f"{made.folder}/", least, most)
        )
        yield [_looked(found, there.get(found.key, ()), verify) for found in page]


def _looked(found: Listed, stored: Sequence[Stored], verify: bool) -> Union[Entry, Waiting]:
    tag = tag_of(found)
    current = next((each for each in stored if each.tag == tag), None)
    if current is not None and not verify:
        return Entry(found.key, KEPT, outputs=current.sizes_bytes)
    known = {each.sha256: each for each in stored if each.tag != tag}
    return Waiting(found.key, found.size_bytes, tag, known, current)
