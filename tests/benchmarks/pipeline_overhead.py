"""What `DepthPipeline` adds to the engine below it, per image, on this machine.

    python -m tests.benchmarks.pipeline_overhead            # builds `vits`, random weights, 518x518
    python -m tests.benchmarks.pipeline_overhead artifacts/NAME

own     time of a call less the time in the engine's steps, in reading and decoding a file and in
        taking; the result is kept until the clock has been read
taking  time to take the image from its owner: the copy with the colours in the engine's order
paired  time of a call less that of a direct call, in turns: with the noise of two runs

The image is given as a uint8 array, as a PIL image and as the path of a PNG file. A direct call is
`read_image` of a path, then `prepare`, `run` and `finish` of the same engine. An array or a PIL
image reaches it taken already, so `paired` contains the taking. Raw samples go to
tests/benchmarks/results/pipeline_overhead.json.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import pytest
import typer

from compile.build.build import build
from compile.build.request import Request
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import read_artifact
from depth.family import model_named
from depth.images import read as read_module
from depth.images.given import hold
from depth.images.read import ImageFile, read_image
from serve import pipeline as pipeline_module
from serve.bench.report import describe_machine
from serve.jobs import stage
from serve.pipeline import DepthPipeline
from serve.shapes import BUCKETS
from tests.support.hostile import encoded, picture

RESULT = Path(__file__).parent / "results/pipeline_overhead.json"
STEPS = ("prepare", "run", "finish")


class Clock:
    """The time spent in functions that it wraps."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            begun_s = time.perf_counter()
            try:
                return function(*given, **options)
            finally:
                self.spent_s += time.perf_counter() - begun_s

        return call


def main(
    artifact: Optional[Path] = typer.Argument(None, help="Folder of an artifact for a CPU."),
    pairs: int = typer.Option(25, help="Calls of each kind, for each form of the image."),
) -> None:
    """Measure, print a table, and write every sample."""
    with tempfile.TemporaryDirectory() as scratch:
        served = read_artifact(artifact or built(Path(scratch)))
        (height, width) = served.manifest.keys[0].size
        path = Path(scratch) / "a.png"
        path.write_bytes(encoded(picture(height, width), "PNG"))
        image = picture(height, width)
        forms: dict[str, Any] = {"array": np.asarray(image), "PIL": image, "path": path}
        with DepthPipeline(served.folder, policy=BUCKETS, one_at_a_time=True) as pipeline:
            pipeline.warm_up()
            samples = {
                name: {
                    "paired_ms": [paired(pipeline, form, turn % 2 == 0) for turn in range(pairs)],
                    **own(pipeline, form, pairs),
                }
                for name, form in forms.items()
            }
    model, target = served.manifest.model, served.manifest.target
    what = f"{model} {target} {served.manifest.precision} {height}x{width}"
    report = {"machine": describe_machine(), "what": what, "samples": samples}
    RESULT.write_text(json.dumps(report, default=vars) + "\n")
    typer.echo(table(samples))


def built(out: Path) -> Path:
    model = model_named("vits")
    return build(Request(model, untrained_checkpoint(model), "openvino", "fp32", [(518, 518)]), out)


def paired(pipeline: DepthPipeline, form: Any, pipeline_first: bool) -> float:
    """ms that a call takes more than a direct call, one after the other."""
    engine = pipeline.stage.engine
    decoded = None if isinstance(form, Path) else hold(form).open()

    def direct() -> None:
        source = decoded or read_image(form, engine.needed)
        engine.finish(engine.run(engine.prepare(source)))

    order = [lambda: pipeline(form), direct]
    taken = {}
    for number in (0, 1) if pipeline_first else (1, 0):
        begun_s = time.perf_counter()
        order[number]()
        taken[number] = time.perf_counter() - begun_s
    return (taken[0] - taken[1]) * 1e3


def own(pipeline: DepthPipeline, form: Any, calls: int) -> dict[str, list[float]]:
    """ms of each call: for taking the image, and for what is neither that nor the engine's."""
    steps, taking, engine = Clock(), Clock(), pipeline.stage.engine
    found: dict[str, list[float]] = {"own_ms": [], "taking_ms": []}
    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            patch.setattr(engine, name, steps.timed(getattr(engine, name)))
        patch.setattr(stage, "decode", steps.timed(stage.decode))
        patch.setattr(ImageFile, "read", staticmethod(steps.timed(ImageFile.read)))
        patch.setattr(read_module, "parse_header", steps.timed(read_module.parse_header))
        patch.setattr(pipeline_module, "hold", taking.timed(pipeline_module.hold))
        for _ in range(calls):
            steps.spent_s, taking.spent_s, begun_s = 0.0, 0.0, time.perf_counter()
            kept = pipeline(form)
            call_s = time.perf_counter() - begun_s
            del kept
            found["own_ms"].append((call_s - steps.spent_s - taking.spent_s) * 1e3)
            found["taking_ms"].append(taking.spent_s * 1e3)
    return found


def table(samples: dict[str, dict[str, list[float]]]) -> str:
    """Medians, with the quartiles in brackets."""
    rows = [
        "| image | own time of the pipeline, ms | taking the image, ms | less direct call, ms |",
        "|---|--:|--:|--:|",
    ]
    for name, kinds in samples.items():
        cells = [
            f"{statistics.median(kinds[kind]):.3f} ({low:.3f} to {high:.3f})"
            for kind in ("own_ms", "taking_ms", "paired_ms")
            for low, _, high in [statistics.quantiles(kinds[kind], n=4)]
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    typer.run(main)
