"""A network, the passes that lower it and some targets become precision reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from compile.lowering.passes import lower
from compile.parity.chain import normalise_of
from compile.parity.inputs import ParityInput, Picture, parity_inputs
from compile.precision.forecast import Step, forecasts
from compile.precision.report import PrecisionReport
from compile.targets.modes import Mode
from compile.targets.protocols import Limit
from depth.artifact.steps import Normalise
from depth.network.base import Network
from depth.preprocess import unnormalised


def survey(
    network: Network,
    name: str,
    modes: Sequence[Mode],
    passes: Sequence[str],
    photographs: Sequence[Picture],
    limit: Limit,
    on_step: Step = lambda _: None,
) -> list[PrecisionReport]:
    """One report per target of these modes, at the network's size.

    `name` says which model and weights. Raises ParityError if the network gives no usable depth in
    float32.
    """
    lowered = lower(network, passes) if passes else network
    tests = parity_inputs(network.model, network.fixed_size, photographs)
    images = inputs(tests, normalise_of(network.model, passes))
    found = forecasts(lowered, modes, images, on_step)
    return [
        PrecisionReport(
            name,
            target,
            network.fixed_size,
            tuple(passes),
            tuple(test.name for test in images),
            limit,
            tuple(forecast for forecast in found if forecast.mode.target == target),
        )
        for target in dict.fromkeys(mode.target for mode in modes)
    ]


def inputs(images: Sequence[ParityInput], normalise: Optional[Normalise]) -> list[ParityInput]:
    """The test images as a network takes them that does this step itself."""
    if normalise is None:
        return list(images)
    return [ParityInput(test.name, unnormalised(test.image, normalise)) for test in images]
