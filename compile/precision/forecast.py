"""What each precision mode would cost in depth. A forecast by rounding on a CPU, no measurement.

The reference is the network itself in float32, on the same images; the errors are those of
compile/parity/measure.py.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

import torch

from compile.errors import PrecisionError
from compile.parity.inputs import ParityInput
from compile.parity.measure import InputErrors, Measured, compare, eager, failure, worst
from compile.precision.casts import Casts
from compile.targets.modes import Mode
from compile.targets.protocols import Limit
from depth.family import DEPTH, Output
from depth.maps.result import FloatArray
from depth.network.base import Network

Maps = dict[str, FloatArray]  # by output, of one image
Rounding = tuple[Optional[str], ...]  # what of a mode changes the numbers
Step = Callable[[str], None]  # called with what begins now, in words


@dataclass(frozen=True)
class Forecast:
    """One mode on all test images. With an overflow there are no results: the mode is out."""

    mode: Mode
    outputs: tuple[Output, ...]  # of the model
    results: tuple[InputErrors, ...]
    overflow: Optional[str] = None

    @property
    def measured(self) -> Optional[Measured]:
        """The worst of all images by output, or None after an overflow."""
        return None if self.overflow else worst(self.results)

    def problem(self, limit: Limit) -> Optional[str]:
        """Why the mode is out, in words, or None if it is within the limit."""
        measured = self.measured
        return self.overflow if measured is None else failure(measured, limit.of(self.outputs))


@dataclass(frozen=True)
class StageShare:
    """The forecast of a mode that rounds in one stage only."""

    stage: str
    forecast: Forecast


def forecasts(
    network: Network,
    modes: Sequence[Mode],
    images: Sequence[ParityInput],
    on_step: Step = lambda _: None,
) -> list[Forecast]:
    """The errors of several modes, image by image; modes that round alike are run once.

    `images` are inputs as this network takes them. Raises ParityError if the float32 reference
    itself is unusable, and PrecisionError if the casts cannot see the factors of a product.
    """
    on_step("float32 reference")
    references = _references(network, images)
    return of_each(modes, lambda mode: _forecast(network, mode, images, references), on_step)


def of_each(
    modes: Sequence[Mode], forecast: Callable[[Mode], Forecast], on_step: Step
) -> list[Forecast]:
    """A forecast for each mode; modes that round alike are run once."""
    total, started = runs(modes), time.monotonic()
    known: dict[Rounding, Forecast] = {}
    found = []
    for mode in modes:
        rounding = _rounding(mode)
        if rounding not in known:
            left = _time_left(time.monotonic() - started, len(known), total)
            on_step(f"{mode.target} {mode.name}{left}")
            known[rounding] = forecast(mode)
        same = known[rounding]
        found.append(Forecast(mode, same.outputs, same.results, same.overflow))
    return found


def runs(modes: Sequence[Mode]) -> int:
    """How often `forecasts` runs the network for these modes, the float32 reference aside."""
    return len(set(map(_rounding, modes)))


def _time_left(taken_s: float, done: int, total: int) -> str:
    if not done:
        return ""
    left_s = taken_s / done * (total - done)
    return f", about {left_s:.0f} s left" if left_s < 100 else f", about {left_s / 60:.0f} min left"


def choose(candidates: Sequence[Forecast], limit: Limit) -> Forecast:
    """The fastest mode within the limit, by documented or expected order; of equals the nearest.

    Raises PrecisionError if there is none, naming the nearest.
    """
    within = [candidate for candidate in candidates if candidate.problem(limit) is None]
    if within:
        return min(within, key=lambda candidate: (candidate.mode.speed_rank, *_error(candidate)))
    nearest = min(candidates, key=_error)
    raise PrecisionError(
        f"no precision mode of {nearest.mode.target} is forecast within max_rel "
        f"{limit.max_rel:g} and mean_rel {limit.mean_rel:g}; the nearest is {nearest.mode.name}: "
        f"{nearest.problem(limit)}"
    )


def _forecast(
    network: Network, mode: Mode, images: Sequence[ParityInput], references: Sequence[Maps]
) -> Forecast:
    outputs = network.model.outputs
    casts = Casts(network, mode)
    results = []
    for test, reference in zip(images, references):
        tensors = casts.run(torch.from_numpy(test.image))
        if casts.overflow:
            return Forecast(mode, outputs, (), f"{casts.overflow}, on test image {test.name!r}")
        maps = {output.name: tensor[0].numpy() for output, tensor in zip(outputs, tensors)}
        results.append(compare(test.name, outputs, reference, maps))
    return Forecast(mode, outputs, tuple(results))


def _references(network: Network, images: Sequence[ParityInput]) -> list[Maps]:
    found = []
    for test in images:
        maps = {name: values[0] for name, values in eager(network, test.image).items()}
        compare(test.name, network.model.outputs, maps, maps)  # raises unless it is finite
        found.append(maps)
    return found


def _rounding(mode: Mode) -> Rounding:
    """What of a mode changes the numbers: a transpose of what is rounded already is exact."""
    relayout = None if mode.relayout == mode.everything else mode.relayout
    return mode.matmul, mode.everything, relayout, mode.io


def _error(candidate: Forecast) -> tuple[float, float]:
    """Of depth, mean first."""
    measured = candidate.measured
    if measured is None:
        return float("inf"), float("inf")
    depth = measured[DEPTH]
    return depth["mean_rel"] or 0.0, depth["max_rel"] or 0.0
