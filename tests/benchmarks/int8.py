"""What each choice of precision int8 costs: one thing changed at a time, errors and time.

    python -m tests.benchmarks.int8 --model demo --size 126x168 --images FOLDER

Calibrated on what the parity gate leaves of the folder, measured on the gate's images. `simulated`
is the same program computed in float32: on a CPU without VNNI what differs from it is overflow.
`time` is that of a run, in turns with float32, as a ratio: the median of the rounds.

--outliers F makes a few channels behind every normalisation F times as large, and what reads them
as much smaller: the same function, with the outliers that large trained transformers have.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Callable, Optional, cast

import numpy as np
import openvino as ov
import torch
import typer

from compile.build.request import MAX_PHOTOGRAPHS
from compile.int8.images import choose
from compile.int8.layers import FLOAT_LAYERS
from compile.parity.inputs import ParityInput, parity_inputs
from compile.parity.measure import measure, worst
from compile.parts import parts
from compile.specialise import specialise
from compile.targets import openvino
from compile.weights import read
from depth.family import DEPTH, IMAGES, model_named
from depth.maps.result import FloatArray
from depth.network.base import Network
from depth.network.single_view import SingleView
from depth.sizes import parse_size

int8 = import_module("compile.int8.nncf")
HEAD = ("decoder.reduce", "decoder.heads")
METHOD = int8.METHOD
Run = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Variant:
    name: str
    method: Any = METHOD
    float_layers: tuple[str, ...] = FLOAT_LAYERS
    plain: bool = True  # calibrated on a plain picture too


VARIANTS = (
    Variant("as built"),
    Variant("patch embedding in int8", float_layers=("decoder",)),
    Variant("decoder in int8", float_layers=("encoder.patch_embed",)),
    Variant("decoder in int8, but its head", float_layers=("encoder.patch_embed", *HEAD)),
    Variant("decoder alone, but its head", float_layers=("encoder", *HEAD)),
    Variant("attention in int8", replace(METHOD, attention=True)),
    Variant("overflow fix in the first layer only", replace(METHOD, overflow_fix="FIRST_LAYER")),
    Variant("ranges are means", replace(METHOD, ranges="MEAN_MINMAX")),
    Variant("no plain picture", plain=False),
    Variant("no SmoothQuant", replace(METHOD, smooth_quant=-1)),
    Variant("SmoothQuant 0.5", replace(METHOD, smooth_quant=0.5)),
    Variant("SmoothQuant 0.95, NNCF's own", replace(METHOD, smooth_quant=0.95)),
    Variant("with bias correction", replace(METHOD, bias_correction=True)),
)


@dataclass(frozen=True)
class Bench:
    network: Network
    images: list[FloatArray]  # to calibrate on, the plain one last
    probes: Sequence[ParityInput]
    rounds: int
    folder: Path

    def program(self, variant: Optional[Variant]) -> Path:
        """The saved program, float32 if there is no variant."""
        # A name of its own: OpenVINO may have mapped the files of the one before.
        stem = self.folder / (variant.name if variant else "float32").replace(" ", "-")
        (part,) = parts(self.network, 1)
        if variant is None:
            return openvino.build(part, stem, "fp32")[0]
        images = self.images if variant.plain else self.images[:-1]

        def change(graph: Any) -> Any:
            return int8.quantised(
                graph,
                lambda: [{IMAGES.name: one} for one in images],
                variant.float_layers,
                variant.method,
            )

        return openvino.build_quantised(part, stem, change)[0]

    def line(self, name: str, variant: Variant, float32: Run) -> str:
        path = self.program(variant)
        run, simulated = loaded(path), loaded(path, LP_TRANSFORMS_MODE="NO")
        errors = [worst(measure(self.network, one, self.probes, 1)) for one in (run, simulated)]
        depths = [one[DEPTH] for one in errors]
        numbers = [f"{one['max_rel']:8.4f} {one['mean_rel']:8.4f}" for one in depths]
        return f"{name:38} {'  '.join(numbers)}  {self.ratio(run, float32):5.2f}"

    def ratio(self, run: Run, float32: Run) -> float:
        image = self.probes[-1].image
        return statistics.median(
            timed(run, image) / timed(float32, image) for _ in range(self.rounds)
        )


def loaded(path: Path, **settings: str) -> Run:
    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **settings})
    return lambda arrays: {DEPTH: compiled({0: arrays[IMAGES.name]})[0].copy()}


def timed(run: Run, image: FloatArray) -> float:
    started = time.perf_counter()
    run({IMAGES.name: image})
    return time.perf_counter() - started


def with_outliers(network: SingleView, factor: float) -> None:
    rng = np.random.default_rng(7)
    for block in network.encoder.blocks:
        for norm, reader in ((block.norm1, block.attn.qkv), (block.norm2, block.mlp.fc1)):
            width = norm.weight.numel()
            chosen = torch.from_numpy(rng.choice(width, max(2, width // 100), replace=False))
            norm.weight[chosen] *= factor
            norm.bias[chosen] *= factor
            reader.weight[:, chosen] /= factor


def lines(bench: Bench, names: Sequence[str]) -> Iterator[str]:
    float32 = loaded(bench.program(None))
    yield f"{'':38} {'max_rel mean_rel':>17}  {'simulated':>17}  time"
    for variant in VARIANTS:
        if not names or variant.name in names:
            yield bench.line(variant.name, variant, float32)


def main(
    model: str = typer.Option("demo"),
    checkpoint: Optional[str] = typer.Option(None, help="Weights file, or untrained."),
    size: str = typer.Option("126x168", help="HEIGHTxWIDTH in px."),
    images: Path = typer.Option(Path("input_images"), help="Folder of images."),
    outliers: float = typer.Option(1.0, help="Size of outlier channels."),
    rounds: int = typer.Option(20, min=1),
    only: list[str] = typer.Option([], help="Names of lines. Repeatable."),
) -> None:
    """Print one line for each choice."""
    row = model_named(model)
    shape = parse_size(size, row.size.check)
    network = specialise(row, read(row, checkpoint), shape)
    with torch.no_grad():
        with_outliers(cast(SingleView, network), outliers)
    gate, calibration = choose(images, MAX_PHOTOGRAPHS)
    with tempfile.TemporaryDirectory() as folder:
        inputs = list(calibration.inputs(row, shape))
        bench = Bench(network, inputs, parity_inputs(row, shape, gate), rounds, Path(folder))
        for line in lines(bench, only):
            typer.echo(line)


if __name__ == "__main__":
    typer.run(main)
