"""Peak memory of a folder job, sampled as it goes through thousands of small images.

    python -m tests.benchmarks.folder_memory

`python -m serve folder` with the demo network in OpenVINO. Resident memory of the process, in MB
by the number of images done, goes to tests/benchmarks/results/folder-memory.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import typer

from tests.support.folder_jobs import write_images
from tests.support.places import ROOT
from tests.support.programs import make_artifact

RESULT = Path(__file__).parent / "results/folder-memory.json"
WARM = 100  # images after which memory has to be flat


def main(images: int = typer.Option(2000, help="Small images in the folder.")) -> None:
    """Run the job, then again with everything there, and sample both."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        artifact = make_artifact(work / "artifacts", sizes=((28, 42),)).folder
        write_images(work / "images", images)
        report = {"images": images, **{name: run(artifact, work) for name in ("first", "rerun")}}
    RESULT.write_text(json.dumps(report) + "\n")
    typer.echo(json.dumps({name: summary(report[name]) for name in ("first", "rerun")}, indent=2))


def run(artifact: Path, work: Path) -> list[tuple[int, float]]:
    """(images printed, resident memory in MB) every 50 ms."""
    command = [sys.executable, "-m", "serve", "folder", str(artifact)]
    command += ["--input", str(work / "images"), "--output", str(work / "out")]
    samples = []
    with (
        (work / "stdout").open("wb") as stdout,
        subprocess.Popen(command, cwd=ROOT, stdout=stdout) as job,
    ):
        while job.poll() is None:
            resident_mb = memory_mb(job.pid)
            if resident_mb is not None:
                samples.append(((work / "stdout").read_bytes().count(b"\n"), resident_mb))
            time.sleep(0.05)
    return samples


def memory_mb(process: int) -> float | None:
    """None once the process has ended."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return None


def summary(samples: list[tuple[int, float]]) -> dict[str, float]:
    """Peak memory in MB up to the first images, and over all."""
    return {
        f"peak_mb_to_{WARM}": max(mb for done, mb in samples if done <= WARM),
        "peak_mb": max(mb for _, mb in samples),
        "end_mb": samples[-1][1],
    }


if __name__ == "__main__":
    typer.run(main)
