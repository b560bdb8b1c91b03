"""How good the demo model is, on rendered scenes it has not seen, next to two baselines.

Inverse depth has no scale and no zero point here, so every prediction is first aligned with the
truth by least squares; then, over pixels that are not sky and not farther than 80 m:

    delta1   share of pixels whose depth is within a factor 1.25 of the true depth
    AbsRel   mean of |depth - true depth| / true depth
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import typer

from checkpoints.demo.scenes.kinds import KINDS, SEEN, UNSEEN
from checkpoints.demo.scenes.render import Scene, render
from checkpoints.demo.scenes.solids import FloatArray
from depth.family import build, load_weights, model_named
from depth.network.base import Network
from depth.postprocess import resize_depth
from depth.preprocess import Preparation
from depth.weights.checkpoint import read_checkpoint

WEIGHTS = Path(__file__).parent / "demo.safetensors"
FIRST_SEED = 1_000_000  # training uses the seeds from 0
SIZES = ((288, 384), (288, 432), (384, 288))  # 4:3, 3:2 and 3:4
FARTHEST_M = 80.0


@dataclass(frozen=True)
class Score:
    """Of one prediction, or the mean of several."""

    delta1: float
    abs_rel: float


@dataclass(frozen=True)
class Row:
    """Mean scores over the scenes of one kind, or of several."""

    name: str
    scenes: int
    model: Score
    gradient: Score  # baseline: the row number as inverse depth
    constant: Score  # baseline: the same inverse depth everywhere


def load(path: Path = WEIGHTS) -> Network:
    """The network with the weights of a file, for inference."""
    network = build(model_named("demo")).eval()
    load_weights(network, read_checkpoint(path).state, str(path))
    return network


def predict(network: Network, image: npt.NDArray[np.uint8]) -> FloatArray:
    """Relative inverse depth [H,W] of an image [H,W,3] BGR, through the size of the model's row."""
    height, width = image.shape[:2]
    model = network.model
    size = model.size.size_for(height, width)
    prepared = Preparation(model.before, model.size)(image, size)
    with torch.no_grad():
        values = network(torch.from_numpy(prepared))[0].numpy()
    return resize_depth(values, (height, width))


def held_out(count: int) -> Iterator[Scene]:
    """Scenes that training never sees, all kinds in turn, three aspect ratios."""
    yield from map(_held_out, range(count))


def _held_out(number: int) -> Scene:
    turn = number // len(KINDS)
    return render(FIRST_SEED + number, KINDS[number % len(KINDS)], SIZES[turn % len(SIZES)])


def score(predicted: FloatArray, true: FloatArray) -> Score:
    """Both [H,W] inverse depth; true in 1/m, 0 is sky."""
    counted = true >= 1 / FARTHEST_M
    x, y = predicted[counted].astype(np.float64), true[counted].astype(np.float64)
    spread = x.var()
    slope = ((x - x.mean()) * (y - y.mean())).mean() / spread if spread > 1e-12 else 0.0
    aligned = np.maximum(y.mean() + slope * (x - x.mean()), 1 / FARTHEST_M)
    ratio = np.maximum(aligned / y, y / aligned)
    return Score(float((ratio < 1.25).mean()), float(np.abs(y / aligned - 1).mean()))


def score_scene(network: Network, scene: Scene) -> tuple[Score, Score, Score]:
    """Of the model, of the vertical gradient and of a constant."""
    true = scene.inverse_depth
    rows = np.linspace(0, 1, len(true), dtype=np.float32)[:, None]
    gradient = np.broadcast_to(rows, true.shape)
    predictions = (predict(network, scene.image), gradient, np.zeros_like(true))
    of_model, of_gradient, of_constant = (score(each, true) for each in predictions)
    return of_model, of_gradient, of_constant


def evaluate(network: Network, scenes: Iterable[Scene]) -> list[Row]:
    """One row per kind, then the means over the seen and over the unseen kinds."""
    by_kind: dict[str, list[tuple[Score, Score, Score]]] = {kind: [] for kind in KINDS}
    for scene in scenes:
        if (scene.inverse_depth >= 1 / FARTHEST_M).any():  # else there is nothing but sky
            by_kind[scene.kind].append(score_scene(network, scene))
    rows = [_row(kind, scores) for kind, scores in by_kind.items() if scores]
    for name, kinds in (("all seen kinds", SEEN), ("all unseen kinds", UNSEEN)):
        together = [scores for kind in kinds for scores in by_kind[kind]]
        if together:
            rows.append(_row(name, together))
    return rows


def evaluate_file(path: Path, count: int, workers: int = 1) -> list[Row]:
    """The table for a weights file on `count` held-out scenes, rendered by `workers` processes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as processes:
        return evaluate(load(path), processes.map(_held_out, range(count)))


def _row(name: str, scores: list[tuple[Score, Score, Score]]) -> Row:
    model, gradient, constant = (_mean([each[i] for each in scores]) for i in range(3))
    return Row(name, len(scores), model, gradient, constant)


def _mean(scores: list[Score]) -> Score:
    return Score(
        float(np.mean([each.delta1 for each in scores])),
        float(np.mean([each.abs_rel for each in scores])),
    )


def main(
    weights: Path = typer.Option(WEIGHTS, help="Weights file."),
    count: int = typer.Option(500, min=1, help="Held-out scenes."),
) -> None:
    """Print the table of scores as Markdown."""
    from checkpoints.demo.report import markdown

    typer.echo(markdown(evaluate_file(weights, count)))


if __name__ == "__main__":
    typer.run(main)
