"""How well fits bring scale and shift back: `python -m tests.benchmarks.fits`.

Rendered rooms of known depth stand for the network and for the instrument, whose points have 1 % of
noise. A share of the points is wrong. The worst of all views is shown. A second table has the
network of `demo` on scenes of every kind.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import typer

from checkpoints.demo.scenes.kinds import KINDS
from checkpoints.demo.scenes.render import render
from depth.console import markdown
from depth.errors import FitError
from depth.family import RELATIVE_DEPTH, RELATIVE_INVERSE
from depth.fitting.fitter import Fitter, fitter_of
from depth_anything import DepthPipeline
from tests.support.measured import (
    TRUTH,
    header,
    measured,
    relative,
    write_model,
    write_points,
    write_sensor,
)
from tests.support.rendered import Rendered, rendered

SIZE = (240, 320)
SEEDS = (3_000_003, 3_000_004, 3_000_005)
SHARES = (0.0, 0.2, 0.4)
IMAGES, FIRST_SEED = 8, 5_000_000
FARTHEST_M = 200.0  # of points: beyond is sky
HEADER = ["reference", "depth of the network", "wrong", "points", "scale off"]
HEADER += ["depth off, 99th percentile", "scale off by plain least squares", "ms per image"]


def references(folder: Path, room: Rendered, wrong: float) -> Iterator[tuple[str, Fitter]]:
    """Every kind of reference of a scene."""
    names = room.scene.names
    rows = {name: measured(room, view, 0, wrong) for view, name in enumerate(names)}
    yield "points", fitter_of(write_points(folder / "points.csv", rows))
    for view, name in enumerate(names):
        write_sensor(folder / "sensor" / name, room, view, wrong=wrong)
    yield "sensor", fitter_of(folder / "sensor")
    yield "COLMAP", fitter_of(write_model(folder / "model", room, wrong=wrong), unit="m")


def plain(room: Rendered, view: int, fitter: Fitter) -> float:
    """The error of the scale by least squares of all points."""
    samples = fitter.reference.samples(room.scene.names[view], header(room))
    rows, columns = np.rint(samples.y).astype(int), np.rint(samples.x).astype(int)
    values = relative(room, view).depth.values[rows, columns]
    scale = np.polyfit(values.astype(np.float64), 1 / samples.depth, 1)[0]
    return abs(float(scale) / TRUTH.scale - 1)


def main() -> None:
    rooms = [rendered(seed=seed, size=SIZE) for seed in SEEDS]
    rows: list[list[str]] = []
    for wrong in SHARES:
        found: dict[tuple[str, str], list[tuple[float, ...]]] = {}
        for room in rooms:
            with TemporaryDirectory() as folder:
                for name, fitter in references(Path(folder), room, wrong):
                    for kind in (RELATIVE_INVERSE, RELATIVE_DEPTH):
                        found.setdefault((name, kind), []).extend(judged(room, fitter, kind))
        for (name, kind), figures in found.items():
            points, scale, depth, by_plain, ms = np.max(figures, axis=0)
            rows.append(
                [
                    name,
                    f"`{kind}`",
                    f"{100 * wrong:.0f} %",
                    f"{points:.0f}",
                    f"{100 * scale:.2f} %",
                    f"{100 * depth:.2f} %",
                    f"{100 * by_plain:.1f} %" if kind == RELATIVE_INVERSE else "",
                    f"{ms:.0f}",
                ]
            )
    typer.echo("\n".join(markdown(HEADER, rows, range(2, len(HEADER)))))
    heading = ["scenes", "fitted", "median error of depth", "of the points that agree"]
    typer.echo("\n".join(["", *markdown(heading, by_demo(), range(1, 4))]))


def by_demo() -> list[list[str]]:
    """Rows by kind of scene: eight images, 300 points each, a fifth of them wrong."""
    rows = []
    with (
        TemporaryDirectory() as folder,
        DepthPipeline("demo", folder=folder, colour_order="bgr") as pipeline,
    ):
        for kind in KINDS:
            found = []
            for seed in range(IMAGES):
                drawn = render(FIRST_SEED + seed, kind, SIZE)
                result, inverse = pipeline(drawn.image), drawn.inverse_depth.astype(np.float64)
                there = inverse > 1 / FARTHEST_M
                try:
                    fitted = result.fitted(points_of(inverse, np.random.default_rng(seed)))
                except FitError:
                    continue
                off = np.abs(fitted.depth.values[there] * inverse[there] - 1)
                assert fitted.fit is not None
                found.append((float(np.median(off)), fitted.fit.median_share))
            off, agreeing = np.median(found, axis=0)
            count = f"{len(found)} of {IMAGES}"
            rows.append([kind, count, f"{100 * off:.1f} %", f"{100 * agreeing:.1f} %"])
    return rows


def points_of(inverse: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points [N,3] of an image."""
    y, x = rng.integers(0, SIZE[0], 300), rng.integers(0, SIZE[1], 300)
    there = inverse[y, x] > 1 / FARTHEST_M
    depth = 1 / inverse[y, x][there]
    wrong = rng.random(len(depth)) < 0.2
    depth *= 1 + 0.01 * rng.standard_normal(len(depth))
    return np.stack([x[there], y[there], np.where(wrong, rng.permutation(depth), depth)], 1)


def judged(room: Rendered, fitter: Fitter, kind: str) -> Iterator[tuple[float, ...]]:
    """Of each view: points, errors of scale and depth, that of plain least squares, and ms."""
    for view, name in enumerate(room.scene.names):
        result = relative(room, view, kind)
        begun_s = time.perf_counter()
        found = fitter.fitted(result, name, header(room))
        ms = (time.perf_counter() - begun_s) * 1e3
        assert found.fit is not None
        off = np.abs(found.depth.values / room.scene.depth[view] - 1)
        scale = abs(found.fit.scale / TRUTH.scale - 1)
        by_plain = plain(room, view, fitter) if kind == RELATIVE_INVERSE else 0.0
        yield found.fit.points, scale, float(np.quantile(off, 0.99)), by_plain, ms


if __name__ == "__main__":
    main()
