"""A network, the passes that lower it and some targets become precision reports."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from compile.lowering.passes import lower
from compile.parity.probes import Picture, Probe, probes
from compile.precision.forecast import Step, forecasts
from compile.precision.report import PrecisionReport
from compile.targets.modes import Mode
from compile.targets.protocols import Limit
from depth.preprocess import NORMALISATION, unnormalised
from depth_anything_v2.network import DepthAnything


def survey(
    network: DepthAnything,
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
    lowered: nn.Module = lower(network, passes) if passes else network
    images = inputs(probes(network.size, photographs), passes)
    found = forecasts(lowered, modes, images, on_step)
    return [
        PrecisionReport(
            name,
            target,
            network.size,
            tuple(passes),
            tuple(probe.name for probe in images),
            limit,
            tuple(one for one in found if one.mode.target == target),
        )
        for target in dict.fromkeys(mode.target for mode in modes)
    ]


def inputs(images: Sequence[Probe], passes: Sequence[str]) -> list[Probe]:
    """The test images as a network takes them that these passes have lowered."""
    if NORMALISATION not in passes:
        return list(images)
    return [Probe(probe.name, unnormalised(probe.image)) for probe in images]
