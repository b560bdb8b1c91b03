"""Shards of an S3 job, killed with SIGKILL at random moments and started again: what is left."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from depth.files import sha256_bytes
from depth.store.objects import ObjectStore, open_store
from tests.support.object_jobs import data, left, run
from tests.support.places import ROOT


@dataclass
class Toll:
    """What was seen. Right is: `right` results of `images`, one .json each, nothing else."""

    images: int
    shards: int
    kills: int
    seconds_per_image: float = 0.0
    killed: int = 0
    runs: int = 0
    right: int = 0
    several: int = 0  # images with more than one .json
    wrong: int = 0  # files that are not as their .json says, or not as of a job that nobody killed
    orphans: int = 0  # files that no .json lists
    changed: int = 0  # results that were replaced after a kill had been survived
    wall_s: float = 0.0
    exit_codes: list[int] = field(default_factory=list)  # of the shards at the end


def torment(place: str, url: Optional[str], work: Path, toll: Toll, seed: int = 0) -> Toll:
    """Run all shards at once, and kill a random shard at a random moment, again and again.

    place  has the images below in/; results go to out/, and those of a quiet job to right/

    A killed shard starts again at once.
    """
    random_, begun_s = random.Random(seed), time.monotonic()
    jobs = [_start(place, url, shard, work, toll) for shard in range(toll.shards)]
    seen: dict[str, str] = {}
    with open_store(f"{place}/out", url) as store:
        while toll.killed < toll.kills:
            _wait_for(store, jobs, toll.images * (toll.killed + 1) // (toll.kills + 2))
            time.sleep(random_.uniform(0, 0.2))
            running = [shard for shard, job in enumerate(jobs) if job.poll() is None]
            if not running:
                break
            shard = random_.choice(running)
            jobs[shard].send_signal(signal.SIGKILL)
            toll.killed += jobs[shard].wait() == -signal.SIGKILL
            now = _results(store)
            toll.changed += sum(now.get(key) != digest for key, digest in seen.items())
            seen = now
            jobs[shard] = _start(place, url, shard, work, toll)
        toll.exit_codes = [job.wait() for job in jobs]
        toll.wall_s = round(time.monotonic() - begun_s, 1)
        _look(store, place, url, toll, seen)
    return toll


def _start(
    place: str, url: Optional[str], shard: int, work: Path, toll: Toll
) -> subprocess.Popen[bytes]:
    toll.runs += 1
    command = [sys.executable, "-m", "tests.support.object_jobs", f"{place}/in", f"{place}/out"]
    command += [f"{shard}/{toll.shards}", str(toll.seconds_per_image), *([url] if url else [])]
    with (work / f"shard-{shard}").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def _wait_for(store: ObjectStore, jobs: Sequence[subprocess.Popen[bytes]], results: int) -> None:
    """Wait until there are `results`, or no job runs."""
    while any(job.poll() is None for job in jobs):
        if sum(_is_result(each.key) for each in store.listed("")) >= results:
            return
        time.sleep(0.05)


def _is_result(key: str) -> bool:
    return key.endswith(".json") and not key.endswith("/settings.json")


def _results(store: ObjectStore) -> dict[str, str]:
    """The tag of each .json by its key; no other bytes have the tag."""
    return {each.key: each.tag for each in store.listed("") if _is_result(each.key)}


def _look(
    store: ObjectStore, place: str, url: Optional[str], toll: Toll, seen: dict[str, str]
) -> None:
    now, there = _results(store), left(store)
    toll.changed += sum(now.get(key) != digest for key, digest in seen.items())
    toll.several = sum(len(keys) > 1 for keys in there.images.values())
    toll.orphans = len(there.orphans)
    run(f"{place}/in", f"{place}/right", url)
    with open_store(f"{place}/right", url) as quiet:
        right = {key: sha256_bytes(data(quiet, key)) for key in _files(quiet)}
    found = {key: sha256_bytes(data(store, key)) for key in _files(store)}
    differing = {key for key in {*right, *found} if right.get(key) != found.get(key)}
    toll.wrong = len({*there.wrong, *differing})
    toll.right = sum(_is_result(key) and found.get(key) == right[key] for key in right)


def _files(store: ObjectStore) -> list[str]:
    return [each.key for each in store.listed("") if "/_reports/" not in each.key]
