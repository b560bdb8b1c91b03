"""A folder job killed with SIGKILL at random moments, again and again, and what is then there.

As a script it does so with the stand-in of tests/support/folder_jobs.py and prints a JSON object:

    python -m tests.support.folder_kills WORK_FOLDER IMAGES KILLS [PRESET]

The jobs are forks of a process that has only imported things, so that a kill takes no start-up.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable

from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST, manifest_in
from serve.folder.request import FolderJob
from tests.support.folder_jobs import make_engine, write_images

Start = Callable[[Path], int]  # a job that writes into this folder; returns its process id
Identity = tuple[int, int, int]  # inode, size and time of change


@dataclass
class Toll:
    """What was seen. Right is: all of `images` right at the end, nothing wrong or redone."""

    images: int
    kills: int = 0
    finished_runs: int = 0
    right: int = 0
    wrong: int = 0
    recomputed: int = 0
    torn_lines: int = 0
    kept_by_reruns: int = 0


def torment(start: Start, work: Path, images: int, kills: int, seed: int) -> Toll:
    """Kill jobs `kills` times, start again after each, and look at the outputs every time.

    A job is killed some random time after a random number of further images. The first run is
    left alone: it gives the right outputs, and the time that a run takes.
    """
    random_ = random.Random(seed)
    first = start(work / "right")
    started = time.monotonic()
    if finished(first) != 0:
        raise RuntimeError("the job fails even when nobody kills it")
    run_s = time.monotonic() - started
    right, out, toll = outputs(work / "right"), work / "out", Toll(images)
    before: dict[str, Identity] = {}
    while toll.kills < kills or not toll.right:
        again = toll.kills < kills
        process = start(out)
        if again:
            until(process, out, lines(out) + random_.randint(0, images // 5))
            time.sleep(random_.uniform(0, 2 * run_s / images))
            os.kill(process, signal.SIGKILL)
        code = finished(process)
        toll.kills += code == -signal.SIGKILL
        look(out, right, before, toll)
        before = complete(out)
        if code == 0:
            toll.finished_runs += 1
            toll.right = len(complete(out)) - wrong(out, right)
            if again:
                shutil.rmtree(out)
                before = {}
                toll.right = 0
    return toll


def look(out: Path, right: dict[str, bytes], before: dict[str, Identity], toll: Toll) -> None:
    now = complete(out)
    toll.recomputed += sum(now.get(name) != identity for name, identity in before.items())
    toll.kept_by_reruns += len(before)
    toll.wrong += wrong(out, right)
    manifest = out / MANIFEST
    log = manifest.read_bytes() if manifest.exists() else b""
    toll.torn_lines += log != b"" and not log.endswith(b"\n")


def wrong(out: Path, right: dict[str, bytes]) -> int:
    """How many images that count as done have another file than they should have."""
    found, count = outputs(out), 0
    for name in complete(out):
        said = json.loads(found[name])
        listed = [*said["maps"]["depth"]["files"].values()]
        listed += said.get("preset", {"files": {}})["files"].values()
        names = [name, *((Path(name).parent / entry["name"]).as_posix() for entry in listed)]
        count += any(found.get(one) != right[one] for one in names)
    return count


def complete(out: Path) -> dict[str, Identity]:
    """What counts as done: every .json, by its path in the output folder."""
    found = {}
    for path in out.rglob("*.json"):
        seen = path.stat()
        found[path.relative_to(out).as_posix()] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return found


def outputs(out: Path) -> dict[str, bytes]:
    files = [path for path in out.rglob("*") if path.is_file() and path.suffix != ".tmp"]
    named = {path.relative_to(out).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in named.items() if name != MANIFEST}


def finished(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def until(process: int, out: Path, count: int) -> None:
    """Wait until the manifest has this many lines, or the process has ended."""
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while lines(out) < count and os.waitid(os.P_PID, process, options) is None:
        time.sleep(0.002)


def lines(out: Path) -> int:
    manifest = out / MANIFEST
    return manifest.read_bytes().count(b"\n") if manifest.exists() else 0


def forked(images: Path, preset: str) -> Start:
    """Starts stand-in jobs in forks of this process."""

    def start(out: Path) -> int:
        process = os.fork()
        if process == 0:
            code = 1
            try:
                code = run_folder(make_engine(), FolderJob(images, out, preset=preset)).exit_code
            finally:
                os._exit(code)
        return process

    return start


def main() -> None:
    work, images, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    preset = "".join(sys.argv[4:])
    write_images(work / "images", images)
    toll = torment(forked(work / "images", preset), work, images, kills, seed=0)
    with manifest_in(work / "out", writable=False) as manifest:
        names = [f"{index % 2}/{index:04}.png" for index in range(images)]
        records = [manifest.find(name) for name in names]
    recorded = sum(record is not None and record.status == "done" for record in records)
    sys.stdout.write(json.dumps({**asdict(toll), "recorded": recorded}) + "\n")


if __name__ == "__main__":
    main()
