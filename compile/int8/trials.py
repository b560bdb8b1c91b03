"""Trials of layers in int8: calibrated once, then measured on test and calibration images."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Callable, Optional

import numpy as np

from compile.errors import ParityError
from compile.int8.choice import MARGINS, Choice, Ranking, ranking
from compile.int8.graph import layers_of, restored
from compile.parity.inputs import ParityInput
from compile.parity.measure import compare
from compile.targets.protocols import Inputs, Limits, Part, Quantiser, QuantisingBuilder, Run
from depth.family import Output
from depth.maps.result import FloatArray

MAX_PHOTOGRAPHS = 4  # of those to calibrate on; the gate's are for the gate alone
_FEW = 3  # images that tell groups apart: those with the largest errors


@dataclass(frozen=True)
class Judge:
    """What an error of a network's outputs is."""

    outputs: Sequence[Output]
    limits: Limits
    tests: Sequence[ParityInput]  # as the network takes them
    chain: Callable[[Run], Run]  # from the program's run to the network's


@dataclass
class Chooser:
    """The choice of layers for one program, by trials that were made once."""

    ranking: Ranking
    quantised: Any  # the graph with every layer in int8
    tried: int = 0  # margins
    choice: Optional[Choice] = None

    def choose(self) -> Optional[Choice]:
        """The layers within the next smaller margin with another choice; None if there is none."""
        for margin in MARGINS[self.tried :]:
            self.tried += 1
            found = self.ranking.within(margin)
            if found is None:
                return None
            if found != self.choice:
                self.choice = found
                return found
        return None


def chooser(
    part: Part,
    builder: QuantisingBuilder,
    quantiser: Quantiser,
    precision: str,
    inputs: Inputs,
    judge: Judge,
    say: Callable[[str], None],
) -> Chooser:
    """Calibrate a whole network once, with every layer in int8, and try its layers.

    Raises FloatLayersError if the float layers alone are over the limit.
    """
    with builder.converted(part) as graph:
        say("int8: calibrate with every layer in int8")
        quantised = quantiser.quantised(graph, inputs, ())
        references = _answers(judge, builder.load_graph(graph, part.ports, "fp32"))
        names = [layer.name for layer in layers_of(graph)]

        def run(in_int8: Collection[str]) -> Run:
            kept = [name for name in names if name not in in_int8]
            changed = restored(quantised, graph, kept)
            return builder.load_graph(changed, part.ports, precision)

        trials = _Trials(judge, references, run)
        trials.find_worst(names)
        return Chooser(ranking(layers_of(graph), trials.error, say), quantised)


def with_photographs(
    tests: Sequence[ParityInput], calibrated: Sequence[FloatArray]
) -> list[ParityInput]:
    """The test images, and the first of those that are calibrated on."""
    photographs = islice(calibrated, MAX_PHOTOGRAPHS)
    return [*tests, *(ParityInput(f"image {n}", image) for n, image in enumerate(photographs))]


@dataclass
class _Trials:
    judge: Judge
    references: Sequence[Mapping[str, FloatArray]]  # by test image
    run: Callable[[Collection[str]], Run]  # for the layers in int8
    few: list[int] = field(default_factory=list)  # test images that are enough to compare groups

    def find_worst(self, names: Sequence[str]) -> None:
        every = range(len(self.judge.tests))
        errors = self._errors(self.run(names), every)
        self.few = sorted(sorted(every, key=lambda place: -errors[place])[:_FEW])

    def error(self, in_int8: Collection[str], few: bool) -> float:
        """The largest error over the images, as a share of its limit."""
        places = self.few if few else range(len(self.judge.tests))
        return max(self._errors(self.run(in_int8), places).values())

    def _errors(self, run: Run, places: Sequence[int]) -> dict[int, float]:
        return {place: self._share(self.judge.chain(run), place) for place in places}

    def _share(self, run: Run, place: int) -> float:
        judge, test = self.judge, self.judge.tests[place]
        found = _single(run, test)
        try:
            measured = compare(test.name, judge.outputs, self.references[place], found).measured
        except ParityError:  # not finite
            return math.inf
        return max(
            float(measured[output][name] or 0.0) / allowed
            for output, by_name in judge.limits.items()
            for name, allowed in by_name.items()
        )


def _answers(judge: Judge, run: Run) -> list[Mapping[str, FloatArray]]:
    return [_single(judge.chain(run), test) for test in judge.tests]


def _single(run: Run, test: ParityInput) -> dict[str, FloatArray]:
    """Outputs of one image, without the batch axis."""
    return {name: np.asarray(value[0]) for name, value in run({"images": test.image}).items()}
