"""Memory of a folder job, sampled as it goes through thousands of images.

    python -m tests.benchmarks.folder_memory
    python -m tests.benchmarks.folder_memory --large 64

`python -m serve folder` with the demo network in OpenVINO. Images are small, but for `--large` of
100 megapixels, in one colour, every other a JPEG. Resident memory of the process, in MB by the
number of images done, goes to tests/benchmarks/results/folder-memory.json or, with large images,
folder-memory-large.json.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import typer

from serve.folder.manifest import MANIFEST
from tests.support.folder_jobs import write_images
from tests.support.places import ROOT
from tests.support.programs import make_artifact

RESULTS = Path(__file__).parent / "results"
WARM = 100  # images after which memory has to be flat
LARGE_PX = (8000, 12_500)
SAMPLE_S = 0.05


def main(
    images: int = typer.Option(2000, help="Images in the folder."),
    large: int = typer.Option(0, help="How many of them have 100 megapixels."),
) -> None:
    """Run the job, then again with everything there, and sample both."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        artifact = make_artifact(work / "artifacts", sizes=((28, 42),)).folder
        write_images(work / "images", images - large)
        write_large_images(work / "images" / "0", large)
        report = {"images": images, "large": large}
        report.update({name: run(artifact, work) for name in ("first", "rerun")})
    name = "folder-memory-large.json" if large else "folder-memory.json"
    (RESULTS / name).write_text(json.dumps(report) + "\n")
    found = {name: summary(report[name]) for name in ("first", "rerun")}
    typer.echo(json.dumps({"images": images, "large": large, **found}, indent=2))


def write_large_images(folder: Path, count: int) -> None:
    """PNG and JPEG files of LARGE_PX, spread between the small images by their names."""
    for index in range(count):
        suffix = (".png", ".jpg")[index % 2]
        path = folder / f"{index * 30:04}-large{suffix}"
        if index < 2:
            cv2.imwrite(str(path), np.full((*LARGE_PX, 3), (90, 120, 60), np.uint8))
        else:
            shutil.copy(folder / f"{index % 2 * 30:04}-large{suffix}", path)


def run(artifact: Path, work: Path) -> dict[str, object]:
    """What became of the images, the time, and memory: (images printed, MB) every 50 ms."""
    command = [sys.executable, "-m", "serve", "folder", str(artifact)]
    command += ["--input", str(work / "images"), "--output", str(work / "out")]
    samples = []
    started = time.monotonic()
    with (
        (work / "stdout").open("wb") as stdout,
        subprocess.Popen(command, cwd=ROOT, stdout=stdout) as job,
    ):
        while job.poll() is None:
            resident_mb = memory_mb(job.pid)
            if resident_mb is not None:
                samples.append(((work / "stdout").read_bytes().count(b"\n"), resident_mb))
            time.sleep(SAMPLE_S)
    done = (work / "out" / MANIFEST).read_text().count('"status": "done"')
    wall_s = round(time.monotonic() - started, 1)
    return {"exit_code": job.returncode, "done": done, "wall_s": wall_s, "samples": samples}


def memory_mb(process: int) -> float | None:
    """None once the process has ended."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return None


def summary(found: dict[str, object]) -> dict[str, object]:
    """Peak memory in MB up to the first images, and over all; the rest as it is."""
    samples = found["samples"]
    return {
        **{name: value for name, value in found.items() if name != "samples"},
        f"peak_mb_to_{WARM}": max(mb for done, mb in samples if done <= WARM),
        "peak_mb": max(mb for _, mb in samples),
        "end_mb": samples[-1][1],
    }


if __name__ == "__main__":
    typer.run(main)
