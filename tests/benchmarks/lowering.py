"""What each lowering pass changes in depth: `python -m tests.benchmarks.lowering`.

max |lowered - plain| / max |plain|, float32, the worst of the built-in images and two samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import typer

from compile.lowering.passes import PASSES, lower
from compile.parity.probes import photographs, probes
from compile.precision.survey import inputs
from compile.specialise import specialise
from compile.targets.table import NEURON_PASSES
from compile.weights import read
from depth.family import model_named
from depth.sizes import parse_size
from depth_anything_v2.network import DepthAnything

SAMPLES = Path("input_images/samples")
FORMS = ([name] for name in (*PASSES, "resize=conv1x1"))


def main(
    model: str = typer.Option("demo"),
    checkpoint: str = typer.Option(None, help="Weights file, or untrained."),
    size: str = typer.Option("518x686", help="HEIGHTxWIDTH in px."),
) -> None:
    """Print one line for each pass and one for all that the Neuron targets use."""
    row = model_named(model)
    network = specialise(row, read(row, checkpoint), parse_size(size))
    for passes in (*FORMS, list(NEURON_PASSES)):
        name = passes[0] if len(passes) == 1 else "all of inf1 and inf2"
        typer.echo(f"{name:22} {largest_error(network, passes):.1e}")


def largest_error(network: DepthAnything, passes: Sequence[str]) -> float:
    lowered = lower(network, passes)
    plain = probes(network.size, photographs(SAMPLES, 2))
    worst = 0.0
    with torch.no_grad():
        for before, after in zip(plain, inputs(plain, passes)):
            expected = network(torch.from_numpy(before.image))
            error = (lowered(torch.from_numpy(after.image)) - expected).abs().max()
            worst = max(worst, float(error / expected.abs().max()))
    return worst


if __name__ == "__main__":
    typer.run(main)
