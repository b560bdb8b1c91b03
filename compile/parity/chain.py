"""A chain of programs as a single run: from normalised images to outputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Optional

from compile.targets.protocols import Arrays, Ports, Run
from depth.artifact.steps import Normalise
from depth.family import IMAGES, Model
from depth.maps.result import FloatArray
from depth.preprocess import unnormalised

NORMALISATION = "normalisation"  # the lowering pass that lets a program normalise images itself


def normalise_of(model: Model, passes: Collection[str]) -> Optional[Normalise]:
    """The step that a lowered network does itself; None if it takes normalised images."""
    if NORMALISATION not in passes:
        return None
    return next((step for step in model.before if isinstance(step, Normalise)), None)


def chained(links: Sequence[tuple[Ports, Run]], normalise: Optional[Normalise] = None) -> Run:
    """One run of several, joined by names. It takes normalised images.

    `normalise`: what the first program does itself, so that it is undone before.
    """

    def run(arrays: Arrays) -> dict[str, FloatArray]:
        have = dict(arrays)
        if normalise is not None:
            have[IMAGES.name] = unnormalised(have[IMAGES.name], normalise)
        for ports, link in links:
            have.update(link({name: have[name] for name in ports.inputs}))
        return have

    return run
