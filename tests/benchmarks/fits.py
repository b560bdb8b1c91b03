"""How well fits bring scale and shift back: `python -m tests.benchmarks.fits`.

Rendered rooms of known depth stand for the network and for the instrument, whose points have 1 % of
noise. A share of the points is wrong. The worst of all views is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import typer

from depth.console import markdown
from depth.family import RELATIVE_DEPTH, RELATIVE_INVERSE
from depth.fitting.fitter import Fitter, fitter_of
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
