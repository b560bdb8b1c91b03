"""Train the demo model: `python -m checkpoints.demo.train`. Goes on where it was interrupted."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from checkpoints.demo import report
from checkpoints.demo.batches import ahead
from checkpoints.demo.evaluate import evaluate_file
from checkpoints.demo.pool import open_pool
from checkpoints.demo.trainee import save_fp16
from checkpoints.demo.training import (
    LOG_EVERY,
    Clock,
    Drawing,
    State,
    load_state,
    save_state,
    train_step,
)
from depth.errors import InputError

FOLDER = Path(__file__).parent
SAVE_EVERY_S = 90.0


@dataclass(frozen=True)
class Length:
    """How long a run is, where the command line does not say."""

    steps: int
    scenes: int
    times: int  # crops per step, as a multiple of a phase's own count


ON_CPU = Length(steps=5200, scenes=24_000, times=1)  # hours
ON_CUDA = Length(steps=5000, scenes=40_000, times=4)  # minutes


def main(
    steps: Optional[int] = typer.Option(None, min=1, help="Training steps in all."),
    scenes: Optional[int] = typer.Option(None, min=1, help="Rendered scenes to train on."),
    times: Optional[int] = typer.Option(None, min=1, help="Crops per step, times the usual."),
    held_out: int = typer.Option(500, min=1, help="Scenes of the evaluation."),
    seed: int = typer.Option(0, help="Of the initial weights and the batches."),
    threads: Optional[int] = typer.Option(
        None, min=1, help="CPU threads; by default 1, or all beside a CUDA device."
    ),
    cache: Optional[Path] = typer.Option(
        None, help="Rendered scenes and the state of the run; by default below ~/.cache."
    ),
    out: Path = typer.Option(FOLDER, help="Where weights, figures and curve go."),
) -> None:
    """Render the scenes, train, evaluate; write demo.safetensors, metrics.json and loss.png.

    A CUDA device is used where there is one: a longer run then takes minutes instead of hours.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # either one saves the state first
        signal.signal(number, signal.default_int_handler)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    usual = ON_CUDA if device.type == "cuda" else ON_CPU
    steps = steps or usual.steps
    threads = threads or (len(os.sched_getaffinity(0)) if device.type == "cuda" else 1)
    torch.set_num_threads(threads)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"))
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), refresh_per_second=1
    ) as progress:
        cache = cache or own_cache()
        pool = open_pool(cache, scenes or usual.scenes, threads, progress)
        drawing = Drawing(pool, seed, steps, times or usual.times)
        workers = threads - 1 if device.type == "cuda" else 0
        state = run(cache / f"state-{seed}.pt", drawing, device, workers, progress)
    weights = out / "demo.safetensors"
    save_fp16(state.average, weights)
    report.write_curve(state.losses, out / "loss.png")
    table = evaluate_file(weights, held_out, threads)
    report.write_metrics(out / "metrics.json", report.describe(state, drawing), table)
    typer.echo(report.markdown(table))
    typer.echo(str(weights))


def own_cache() -> Path:
    """Where nobody else can put files, unlike in the temporary folder that all users share."""
    try:
        return Path.home() / ".cache" / "depth-anything-inferentia" / "demo-pool"
    except (KeyError, RuntimeError) as error:  # Python 3.9, and later ones
        raise InputError("this user has no home folder: give --cache FOLDER") from error


def run(
    path: Path, drawing: Drawing, device: torch.device, workers: int, progress: Progress
) -> State:
    """Train up to the last step, saving the state every now and then, and when interrupted."""
    steps = drawing.steps
    state = load_state(path, drawing.seed, steps, device)
    task = progress.add_task("training", total=steps, completed=state.step)
    recent: list[torch.Tensor] = []
    clock, unsaved_s = Clock(), 0.0
    try:
        for batch in ahead(drawing, range(state.step, steps), workers):
            recent.append(train_step(state, batch, steps))
            passed = clock.lap()
            state.seconds += passed
            unsaved_s += passed
            if state.step % LOG_EVERY == 0:
                loss = float(torch.stack(recent).mean())
                state.losses.append((state.step, loss))
                progress.update(task, description=f"training, loss {loss:.3f}")
                recent.clear()
            if unsaved_s > SAVE_EVERY_S:
                save_state(state, path, steps)
                unsaved_s = 0.0
            progress.update(task, completed=state.step)
    finally:
        save_state(state, path, steps)
    return state


if __name__ == "__main__":
    typer.run(main)
