"""Scenes of several views beside upstream's code and beside matrix products, in the same rounds.

    python -m tests.benchmarks.scenes artifacts/FP32 artifacts/BF16 --size 336x504 --views 4 \
        --upstream ../Depth-Anything-3

Each side is a process of its own and keeps its memory; they take turns. Multiply-accumulates are
those of the network without the branch of rays. Samples go to tests/benchmarks/results/.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Optional

import typer

from compile.macs import count_macs
from compile.parts import parts
from compile.products import RESIZE
from compile.shapes_only import build_without_values
from depth.artifact.manifest import Artifact, read_artifact
from depth.family import model_named
from depth.sizes import Size, parse_size
from tests.benchmarks.matrix_products import products
from tests.support.places import ROOT

RESULTS = Path(__file__).parent / "results"
_PER_VIEW = ("prefix", "head")


@dataclass
class Side:
    """A process that runs scenes when it is asked."""

    name: str
    process: subprocess.Popen[str]
    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    @staticmethod
    def start(name: str, *words: object, **environment: str) -> Side:
        process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return Side(name, process)

    def run(self) -> float:
        """Seconds of a scene. Raises RuntimeError if the process has ended."""
        given, told = _pipe(self.process.stdin), _pipe(self.process.stderr)
        given.write("\n")
        given.flush()
        said = []
        for line in told:
            words = line.split()
            try:
                seconds, self.peak_mb = map(float, words)
            except ValueError:
                said.append(line)  # a warning
                continue
            return seconds
        raise RuntimeError(f"{self.name} ended: {''.join(said)[-2000:]}")

    def stop(self) -> None:
        _pipe(self.process.stdin).close()
        self.process.wait(60)


def _pipe(stream: Optional[IO[str]]) -> IO[str]:
    assert stream is not None
    return stream


def gmacs(artifact: Artifact, size: Size, views: int) -> float:
    """1e9 multiply-accumulates of a scene, without those of resizing."""
    network = build_without_values(model_named(artifact.manifest.model))
    network.fix_size(*size)
    total = 0
    for part in parts(network, 1, split=True, views=views):
        macs = count_macs(part.module, *part.examples)
        times = views if part.stage.name in _PER_VIEW else 1
        total += times * (sum(macs.values()) - macs[RESIZE])
    return total / 1e9


def main(
    artifacts: list[Path] = typer.Argument(help="Artifacts of a model of several views."),
    size: str = typer.Option("336x504", help="HEIGHTxWIDTH in px."),
    views: int = typer.Option(4, min=1, help="Views of the scene."),
    upstream: Optional[Path] = typer.Option(None, help="A checkout of Depth Anything 3."),
    extra: str = typer.Option("", help="Folder of packages that upstream needs."),
    rounds: int = typer.Option(7, min=1, help="Rounds that count, after one of warm-up."),
) -> None:
    """Measure, print a table and write samples."""
    read = [read_artifact(path) for path in artifacts]
    model, asked = read[0].manifest.model, parse_size(size, read[0].manifest.size.check)
    work = gmacs(read[0], asked, views)
    with ExitStack() as stack:
        measures = {a.manifest.precision: stack.enter_context(products(a)) for a in read}
        sides = [_ours(artifact, size, views) for artifact in read]
        if upstream is not None:
            script = Path(__file__).with_name("scenes_upstream.py")
            words = (script, upstream.resolve(), model, size, views)
            sides.append(Side.start("upstream", *words, PYTHONPATH=extra))
        for side in sides:
            stack.callback(side.stop)
            side.run()  # warm-up
        found: dict[str, list[float]] = {name: [] for name in measures}
        for number in range(rounds):
            for side in sides if number % 2 else sides[::-1]:
                side.seconds.append(side.run())
            for name, measure in measures.items():
                found[name].append(measure())
    _tell(sides, found, work)
    _keep(f"scenes-{model}-s{views}.json", sides, found, work, size, views)


def _ours(artifact: Artifact, size: str, views: int) -> Side:
    words = ("-m", "tests.benchmarks.scenes_ours", artifact.folder.resolve(), size, views)
    return Side.start(artifact.manifest.precision, *words)


def _tell(sides: Sequence[Side], found: dict[str, list[float]], work: float) -> None:
    typer.echo(f"{work:.1f} GMAC a scene")
    theirs = next((side for side in sides if side.name == "upstream"), None)
    for side in sides:
        text = f"{side.name}: {median(side.seconds):.2f} s, peak memory {side.peak_mb:.0f} MB"
        if side.name in found:
            speed = 2 * work / median(side.seconds)
            share = speed / median(found[side.name])
            text += f", {speed:.0f} GFLOP/s, {100 * share:.0f} % of matrix products"
            if theirs is not None:
                ratios = [t / o for t, o in zip(theirs.seconds, side.seconds)]
                text += f", {median(ratios):.2f} times as fast as upstream"
        typer.echo(text)


def _keep(
    name: str,
    sides: Sequence[Side],
    found: dict[str, list[float]],
    work: float,
    size: str,
    views: int,
) -> None:
    data = {
        "processor": _processor(),
        "load": os.getloadavg()[0],
        "size": size,
        "views": views,
        "gmacs": work,
        "products_gflops": found,
        "sides": {s.name: {"seconds": s.seconds, "peak_mb": s.peak_mb} for s in sides},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    typer.run(main)
