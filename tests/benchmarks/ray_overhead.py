"""Milliseconds per image of a Ray job with one worker, beside the plain folder job.

    .tools/ray/bin/python -m tests.benchmarks.ray_overhead    # `make test-ray` makes .tools/ray

Both have one core, a stand-in that takes 0.1 s per image, and read the same folder. The time counts
from the first result to the last, so the start of the cluster is left out. The figures go to
tests/benchmarks/results/ray-overhead.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import typer

from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.objects.making import Making
from tests.support.folder_jobs import write_images
from tests.support.places import ROOT
from tests.support.ray_jobs import standin_engine

RESULT = Path(__file__).parent / "results/ray-overhead.json"


def main(
    images: int = typer.Option(400, help="Small images."),
    seconds: float = typer.Option(0.1, help="That the stand-in takes for an image."),
) -> None:
    """Measure both, one after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        write_images(work / "in", images)
        with standin_engine("openvino", seconds, Making(("stand-in",))) as engine:
            run_folder(engine, FolderJob(work / "in", work / "folder"))
        command = [sys.executable, "-m", "tests.support.ray_jobs", work / "in", work / "ray"]
        subprocess.run(
            [*map(str, command), str(seconds), "1", "openvino"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        folder_ms, ray_ms = _ms(work / "folder"), _ms(work / "ray")
    found = {"images": images, "folder_ms": round(folder_ms, 2), "ray_ms": round(ray_ms, 2)}
    found["overhead_percent"] = round(100 * (ray_ms / folder_ms - 1), 1)
    text = json.dumps(found, indent=2)
    RESULT.write_text(text + "\n")
    typer.echo(text)


def _ms(out: Path) -> float:
    """Between the first and the last result, per image."""
    results = [path for path in out.rglob("*.json") if path.name != "settings.json"]
    times_s = sorted(path.stat().st_mtime for path in results)
    return 1e3 * (times_s[-1] - times_s[0]) / (len(times_s) - 1)


if __name__ == "__main__":
    typer.run(main)
