"""Runs a job of upstream's scripts by a model's name: programs are built when first needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

from compile.on_demand import Cache
from compile.weights import choose
from depth.family import model_named
from serve.engine import Engine
from serve.folder.cli import shown
from serve.folder.flat.job import FlatJob, run_flat
from serve.jobs.stop import Stop
from serve.library import Library


def run_job(job: FlatJob, model: str, checkpoint: Optional[Path], input_size: Optional[int]) -> int:
    """Run and print; returns the exit code. Raises what `choose`, the engine and the job raise."""
    row = model_named(model)
    stop = Stop()
    weights = choose(row, checkpoint)
    cache = Cache(Path("artifacts"), weights, "openvino", "fp32", job.img_path, stop.requested)
    library = Library(cache.artifacts(), build=cache.build)
    rule = replace(row.size, side_px=input_size or row.size.side_px)
    with Engine(library, size_rule=rule) as engine:
        report = shown(job.outdir, stop, lambda on_entry: run_flat(engine, job, on_entry, stop))
    return report.exit_code
