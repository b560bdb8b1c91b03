"""A real folder job, killed with SIGKILL at random moments and started again.

    python -m tests.benchmarks.killed_folder

`python -m serve folder` with the demo network in OpenVINO over small images: every process is
killed some time after its first line, and the next one goes on. The toll goes to
tests/benchmarks/results/killed-folder.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import typer

from tests.support.folder_jobs import write_images
from tests.support.folder_kills import Start, torment
from tests.support.places import ROOT
from tests.support.programs import make_artifact

RESULT = Path(__file__).parent / "results/killed-folder.json"


def main(
    images: int = typer.Option(200, help="Small images in the folder."),
    kills: int = typer.Option(50, help="How many processes are killed."),
    seed: int = typer.Option(0, help="Of the moments."),
) -> None:
    """Kill jobs and count what was lost."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        artifact = make_artifact(work / "artifacts", sizes=((28, 42),)).folder
        write_images(work / "images", images)
        toll = torment(jobs(artifact, work), work, images, kills, seed)
    text = json.dumps(asdict(toll), indent=2)
    RESULT.write_text(text + "\n")
    typer.echo(text)


def jobs(artifact: Path, work: Path) -> Start:
    """Starts jobs as processes; they are handed over when they have printed a line."""
    started: list[subprocess.Popen[bytes]] = []  # theirs to end: nobody else waits for them

    def start(out: Path) -> int:
        command = [sys.executable, "-m", "serve", "folder", str(artifact)]
        command += ["--input", str(work / "images"), "--output", str(out)]
        with (work / "stdout").open("wb") as stdout:
            job = subprocess.Popen(command, cwd=ROOT, stdout=stdout)
        started.append(job)
        while not (work / "stdout").stat().st_size:
            time.sleep(0.005)
        return job.pid

    return start


if __name__ == "__main__":
    typer.run(main)
