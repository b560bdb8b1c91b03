"""What previews and their page add to a whole folder job: with and without them, in turns.

    python -m tests.benchmarks.previews artifacts/NAME --photo photo.jpg

The job has 200 images of 160x120 px, each of other bytes. Every run is a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import typer
from PIL import Image

from depth.cpu import read_cpu
from serve.bench.samples import ratio
from serve.bench.turns import take_turns
from tests.support.places import ROOT

WAYS = {"without": ["--no-preview"], "with": ["--preview"]}


def main(
    artifact: Path = typer.Argument(help="An artifact."),
    photo: Path = typer.Option(ROOT / "input_images/samples/hall.jpg", help="A photograph."),
    images: int = typer.Option(200, min=1, help="Images of the job."),
    runs: int = typer.Option(5, min=1, help="Jobs of each way that count."),
) -> None:
    """Time a folder job with previews and without, and print both medians."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "images")
        _write_images(photo, folder, images)
        words = ["-m", "serve", "folder", str(artifact.resolve()), "--input", str(folder)]
        measures = [partial(_job, [*words, *way], Path(scratch)) for way in WAYS.values()]
        found = take_turns(measures, runs, 1, lambda step: typer.echo(step, err=True))
    for place, what in enumerate(("wall", "CPU")):
        without, with_ = ([sample[place] for sample in samples] for samples in found)
        share = ratio([[each] for each in with_], [[each] for each in without])
        more_ms = 1e3 * (median(with_) - median(without)) / images
        typer.echo(
            f"{what}: {median(without):.2f} s without, {median(with_):.2f} s with; {share}; "
            f"{more_ms:.1f} ms more per image"
        )
    cpu = read_cpu()
    typer.echo(f"{cpu.model}, {cpu.cores} cores; load average {os.getloadavg()[1]:.1f}")


def _job(words: list[str], scratch: Path) -> tuple[float, float]:
    """Wall and CPU time of a job, in seconds."""
    output = tempfile.mkdtemp(dir=scratch)
    begun_s = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *words, "--output", output],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ValueError(f"{' '.join(words)}: code {process.returncode}")
    return time.perf_counter() - begun_s, used.ru_utime + used.ru_stime


def _write_images(photo: Path, folder: Path, count: int) -> None:
    folder.mkdir()
    with Image.open(photo) as opened:
        small = opened.convert("RGB").resize((160, 120))
    for number in range(count):
        small.putpixel((0, 0), (number % 256, number // 256, 0))
        small.save(folder / f"{number:04}.png")


if __name__ == "__main__":
    typer.run(main)
