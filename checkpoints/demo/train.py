"""Train the demo model: `python -m checkpoints.demo.train`. Goes on where it was interrupted."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from checkpoints.demo import report
from checkpoints.demo.evaluate import evaluate_file
from checkpoints.demo.pool import Pool, open_pool
from checkpoints.demo.trainee import save_fp16
from checkpoints.demo.training import (
    LOG_EVERY,
    Clock,
    State,
    load_state,
    save_state,
    train_step,
)

FOLDER = Path(__file__).parent
STEPS = 5200
SCENES = 24000
CACHE = Path(tempfile.gettempdir()) / "demo-pool"
SAVE_EVERY_S = 90.0


def main(
    steps: int = typer.Option(STEPS, min=1, help="Training steps in all."),
    scenes: int = typer.Option(SCENES, min=1, help="Rendered scenes to train on."),
    held_out: int = typer.Option(500, min=1, help="Scenes of the evaluation."),
    seed: int = typer.Option(0, help="Of the initial weights and the batches."),
    threads: int = typer.Option(1, min=1, help="CPU threads."),
    cache: Path = typer.Option(CACHE, help="Rendered scenes and the state of the run."),
    out: Path = typer.Option(FOLDER, help="Where weights, figures and curve go."),
) -> None:
    """Render the scenes, train, evaluate; write demo.safetensors, metrics.json and loss.png."""
    for number in (signal.SIGINT, signal.SIGTERM):  # either one saves the state first
        signal.signal(number, signal.default_int_handler)
    torch.set_num_threads(threads)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"))
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), refresh_per_second=1
    ) as progress:
        pool = open_pool(cache, scenes, threads, progress)
        state = run(cache / f"state-{seed}.pt", pool, steps, seed, progress)
    weights = out / "demo.safetensors"
    save_fp16(state.average, weights)
    report.write_curve(state.losses, out / "loss.png")
    table = evaluate_file(weights, held_out)
    report.write_metrics(out / "metrics.json", report.describe(state, steps, len(pool)), table)
    typer.echo(report.markdown(table))
    typer.echo(str(weights))


def run(path: Path, pool: Pool, steps: int, seed: int, progress: Progress) -> State:
    """Train up to `steps`, saving the state every now and then, and when interrupted."""
    state = load_state(path, seed, steps)
    task = progress.add_task("training", total=steps, completed=state.step)
    recent: list[float] = []
    clock, unsaved_s = Clock(), 0.0
    try:
        while state.step < steps:
            recent.append(train_step(state, pool, steps))
            passed = clock.lap()
            state.seconds += passed
            unsaved_s += passed
            if state.step % LOG_EVERY == 0:
                state.losses.append((state.step, float(np.mean(recent))))
                progress.update(task, description=f"training, loss {np.mean(recent):.3f}")
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
