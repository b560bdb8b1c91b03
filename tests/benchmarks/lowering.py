"""What each lowering pass changes in depth: `python -m tests.benchmarks.lowering`.

max |lowered - plain| / max |plain|, float32, the worst of the built-in images and two samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer

from compile.lowering.passes import PASSES, lower
from compile.parity.chain import normalise_of
from compile.parity.inputs import parity_inputs, photographs
from compile.parity.measure import eager
from compile.precision.survey import inputs
from compile.specialise import specialise
from compile.targets.table import NEURON_PASSES
from compile.weights import read
from depth.family import DEPTH, model_named
from depth.network.base import Network
from depth.sizes import parse_size

SAMPLES = Path("input_images/samples")
FORMS = [[name for name in (row.needs, row.name) if name] for row in PASSES.values()]
FORMS.append(["resize=conv1x1"])


def main(
    model: str = typer.Option("demo"),
    checkpoint: str = typer.Option(None, help="Weights file, or untrained."),
    size: str = typer.Option("518x686", help="HEIGHTxWIDTH in px."),
) -> None:
    """Print one line for each pass and one for all that the Neuron targets use."""
    row = model_named(model)
    network = specialise(row, read(row, checkpoint), parse_size(size, row.size.check))
    for passes in (*FORMS, list(NEURON_PASSES)):
        name = "all of inf1 and inf2" if passes == list(NEURON_PASSES) else "+".join(passes)
        typer.echo(f"{name:22} {largest_error(network, passes):.1e}")


def largest_error(network: Network, passes: Sequence[str]) -> float:
    lowered = lower(network, passes)
    plain = parity_inputs(network.model, network.fixed_size, photographs(SAMPLES, 2))
    worst = 0.0
    for before, after in zip(plain, inputs(plain, normalise_of(network.model, passes))):
        expected = eager(network, before.image)[DEPTH]
        error = np.abs(eager(lowered, after.image)[DEPTH] - expected).max()
        worst = max(worst, float(error / np.abs(expected).max()))
    return worst


if __name__ == "__main__":
    typer.run(main)
