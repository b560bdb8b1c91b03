"""A network, the passes that lower it and some targets become precision reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from compile.lowering.passes import lower
from compile.parity.chain import normalise_of
from compile.parity.inputs import ParityInput, Picture, parity_inputs
from compile.precision.forecast import StageShare, Step, forecasts
from compile.precision.report import PrecisionReport
from compile.precision.scenes import SceneRunner, Scenes
from compile.targets.modes import BF16, FP16, Mode
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
    scenes: Optional[Scenes] = None,
) -> list[PrecisionReport]:
    """One report per target of these modes, at the network's size.

    name    which model and weights
    scenes  of a model of scenes: which

    Raises ParityError if the network gives no usable depth in float32.
    """
    lowered = lower(network, passes) if passes else network
    tests = parity_inputs(network.model, network.fixed_size, photographs)
    normalise = normalise_of(network.model, passes)
    shares: tuple[StageShare, ...] = ()
    if scenes is None:
        images = inputs(tests, normalise)
        found = forecasts(lowered, modes, images, on_step)
    else:
        images = tests
        name = f"{name}, scenes of {scenes.views}"
        runner = SceneRunner.of(network, lowered, tests, scenes, normalise)
        found = runner.forecasts(modes, on_step)
        shares = runner.shares(widest(modes), on_step)
    return [
        PrecisionReport(
            name,
            target,
            network.fixed_size,
            tuple(passes),
            tuple(test.name for test in images),
            limit,
            tuple(forecast for forecast in found if forecast.mode.target == target),
            tuple(share for share in shares if share.forecast.mode.target == target),
        )
        for target in dict.fromkeys(mode.target for mode in modes)
    ]


def widest(modes: Sequence[Mode]) -> list[Mode]:
    """Of each target a mode that casts everything to bf16, if it is among these modes."""
    every = [mode for mode in modes if mode.everything == BF16 and mode.io != FP16]
    return [
        next(mode for mode in every if mode.target == target)
        for target in dict.fromkeys(mode.target for mode in every)
    ]


def inputs(images: Sequence[ParityInput], normalise: Optional[Normalise]) -> list[ParityInput]:
    """The test images as a network takes them that does this step itself."""
    if normalise is None:
        return list(images)
    return [ParityInput(test.name, unnormalised(test.image, normalise)) for test in images]
