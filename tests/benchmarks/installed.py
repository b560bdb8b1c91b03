"""Serving from an installed or frozen program: 1,000 small images, memory after 100 and at the end.

python -m tests.benchmarks.installed ARTIFACT OUT -- COMMAND...

COMMAND is what comes before `folder`: `ENV/bin/depth serve`, or `dist/depth-serve/depth-serve`. The
images and the depth files go below OUT. Prints a line of JSON: seconds, resident memory in MB after
100 and 1,000 images, and the SHA-256 of all depth values' files.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

COUNT, EARLY = 1000, 100
_SIZE = (160, 120)


def images_in(folder: Path) -> Path:
    """Make the images unless they are there: smooth colours, each image another."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(COUNT):
        path = folder / f"{index:04}.jpg"
        if not path.exists():
            coarse = np.random.default_rng(index).integers(0, 256, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize(_SIZE, Image.Resampling.BICUBIC).save(path)
    return folder


def resident_mb(process: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1000


def main(artifact: str, out: str, _: str, *command: str) -> None:
    """Run the job and print the line."""
    images = images_in(Path(out) / "images")
    depth = Path(out) / f"depth-{time.time_ns()}"
    words = [*command, "folder", artifact, "--input", str(images), "--output", str(depth)]
    started = time.monotonic()
    found: dict[str, float] = {}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for seen, _line in enumerate(process.stdout, 1):
            if seen in (EARLY, COUNT):
                found[f"after {seen} MB"] = resident_mb(process.pid)
    if process.returncode:
        sys.exit(process.returncode)
    digest = hashlib.sha256()
    for path in sorted(depth.glob("*.png")):
        digest.update(path.read_bytes())
    seconds = round(time.monotonic() - started, 1)
    sys.stdout.write(json.dumps({"s": seconds, **found, "sha256": digest.hexdigest()}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
