"""S3 jobs without a compiled program, and what they left in a store.

As a script it runs such a job with the real command's output and signals:

    python -m tests.support.object_jobs SOURCE TARGET SHARD SECONDS_PER_IMAGE [ENDPOINT_URL]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Optional

from depth.files import sha256_bytes
from depth.store.objects import ObjectStore, open_store
from serve.engine import Engine
from serve.jobs.entry import Entry, OnEntry, Report
from serve.jobs.objects.making import Making
from serve.jobs.objects.places import open_places
from serve.jobs.objects.run import RunAsked
from serve.jobs.objects.shard import Shard
from serve.jobs.stop import Stop
from serve.s3.job import S3Job
from tests.support.folder_jobs import make_engine
from tests.support.hostile import encoded, picture

MAKING = Making(("stand-in",))


@dataclass
class Ran:
    """A finished job: its report and its entries by image."""

    report: Report
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def fates(self) -> dict[str, str]:
        return {image: entry.status for image, entry in self.entries.items()}


def png(seed: int) -> bytes:
    """A small image, each seed's different."""
    return encoded(picture(20 + seed % 5, 30, seed=seed), "PNG", compress_level=1)


def put_images(store: ObjectStore, count: int) -> list[str]:
    """Small images in two folders; returns their keys."""
    keys = [f"{index % 2}/{index:04}.png" for index in range(count)]
    for index, key in enumerate(keys):
        store.write(key, png(index))
    return keys


def run(
    source: str,
    target: str,
    endpoint_url: Optional[str] = None,
    asked: Optional[RunAsked] = None,
    making: Making = MAKING,
    engine: Optional[Engine] = None,
    stop: Optional[Stop] = None,
    on_entry: OnEntry = lambda *_: None,
) -> Ran:
    """Run a job with a stand-in of the network."""
    engine, ran = engine or make_engine(), Ran(Report(0))

    def note(entry: Entry, total: int) -> None:
        assert entry.image not in ran.entries
        ran.entries[entry.image] = entry
        on_entry(entry, total)

    made = making.made(engine.library)
    with open_places(source, target, endpoint_url) as places:
        job = S3Job(engine, places, making, made, asked or RunAsked(), stop or Stop())
        ran.report = job.run(note)
    return ran


@dataclass
class Left:
    """What jobs left: results by image, and everything that is wrong with them."""

    images: dict[str, list[str]] = field(default_factory=dict)  # image -> keys of its .json
    wrong: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)  # files that no .json lists
    probes: list[str] = field(default_factory=list)


@contextmanager
def opened(location: str, endpoint_url: Optional[str]) -> Iterator[ObjectStore]:
    with open_store(location, endpoint_url) as store:
        yield store


def left(store: ObjectStore) -> Left:
    """Read every .json of a store and compare what it lists."""
    found, listed = Left(), set()
    keys = [each.key for each in store.listed("")]
    for key in keys:
        name = key.rpartition("/")[2]
        if ".probe-" in key:
            found.probes.append(key)
        if not key.endswith(".json") or name == "settings.json":
            continue
        whole = json.loads(data(store, key))
        found.images.setdefault(whole["source"]["path"], []).append(key)
        listed.add(key)
        for facts in whole["maps"].values():
            for file in facts["files"].values():
                place = f"{key.rpartition('/')[0]}/{file['name']}"
                listed.add(place)
                if sha256_bytes(data(store, place)) != file["sha256"]:
                    found.wrong.append(place)
    others = [key for key in keys if "/_reports/" not in key and not key.endswith("settings.json")]
    found.orphans = sorted({*others} - listed - {*found.probes})
    return found


def data(store: ObjectStore, key: str) -> bytes:
    found = store.read(key, 1 << 30)
    return b"" if found is None else found.data


def logged(store: ObjectStore) -> list[dict[str, object]]:
    """Lines of all logs of a store."""
    keys = [each.key for each in store.listed("") if "/_reports/" in each.key]
    return [json.loads(line) for key in keys for line in data(store, key).splitlines()]


def main() -> None:
    from serve.jobs.screen import shown

    source, target, shard, duration_s, *rest = sys.argv[1:]
    stop, asked, engine = Stop(), RunAsked(Shard.parse(shard)), make_engine(float(duration_s))
    made = MAKING.made(engine.library)
    with open_places(source, target, rest[0] if rest else None) as places:
        job = S3Job(engine, places, MAKING, made, asked, stop)
        report = shown(stop, job.run, lambda key: f"{places.results.name}/{key}")
    sys.exit(report.exit_code)


if __name__ == "__main__":
    main()
