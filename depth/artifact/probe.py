"""The probe: a fixed input of a program, and the outputs where the program was verified.

A core that has been warmed up has run, and may still compute wrong numbers. So the answers of each
program to a fixed input are kept in verified.json, and serving compares them on every core.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from depth.artifact.manifest import Manifest
from depth.artifact.program import Program
from depth.artifact.steps import Do, Normalise

FloatArray = npt.NDArray[np.float32]

LIMIT = 1e-3  # of the largest value; a correct core repeats a program far more closely
_SAMPLES = 64  # values kept of each output
_HASH = 2654435761  # of Knuth: multiplied by it and cut to 32 bits, counting numbers look random


@dataclass(frozen=True)
class Answer:
    """Values of an output at evenly spaced places."""

    values: tuple[float, ...]
    limit: float  # largest difference that passes, as a share of the largest value


def probe_inputs(manifest: Manifest, program: Program) -> dict[str, FloatArray]:
    """A fixed input that is nowhere constant: a ramp with noise on it, the same on every machine.

    In 0..255 for programs that normalise images themselves, else in -2..2.
    """
    normalises = not any(
        isinstance(step, Do) and isinstance(step.step, Normalise) for step in manifest.steps
    )
    found = {}
    for tensor in program.inputs:
        count = int(np.prod(tensor.shape(program.shape)))
        index = np.arange(count, dtype=np.uint64)
        noise = (index * np.uint64(_HASH) % np.uint64(2**32)).astype(np.float64) / 2**32
        unit = (0.7 * index / count + 0.3 * noise).astype(np.float32)  # 0..1
        values = unit * 255 if normalises else unit * 4 - 2
        found[tensor.name] = values.reshape(tensor.shape(program.shape))
    return found


def sample(array: FloatArray) -> tuple[float, ...]:
    """Evenly spaced values of an array, to six digits."""
    flat = array.ravel()
    places = np.linspace(0, flat.size - 1, min(_SAMPLES, flat.size)).astype(np.intp)
    return tuple(float(f"{value:.6g}") for value in flat[places])


def answers(outputs: Mapping[str, FloatArray]) -> dict[str, Answer]:
    """The answers of a program's outputs, to be kept."""
    return {name: Answer(sample(array), LIMIT) for name, array in outputs.items()}


def unusable_answers(program: Program, answers: Mapping[str, Answer]) -> Iterator[str]:
    """Each reason why answers that were kept would not tell a wrong core of this program."""
    names = sorted(tensor.name for tensor in program.outputs)
    if sorted(answers) != names:
        yield f"{program.name}: has answers of {sorted(answers)}, expected {names}"
        return
    for tensor in program.outputs:
        answer = answers[tensor.name]
        count = min(_SAMPLES, math.prod(tensor.shape(program.shape)))
        if len(answer.values) != count:
            yield f"{program.name}: {len(answer.values)} answers of {tensor.name}, expected {count}"
        if not 0 < answer.limit <= LIMIT:
            yield (
                f"{program.name}: answers of {tensor.name} have the limit {answer.limit:g}, "
                f"expected at most {LIMIT:g}"
            )


def differs(answer: Answer, array: FloatArray) -> Optional[str]:
    """How an output differs from the answer that was kept, in figures; None if it does not.

    Written so that NaN differs from everything.
    """
    expected, found = np.array(answer.values), np.array(sample(array))
    if expected.shape != found.shape:
        return f"{found.size} values, expected {expected.size}"
    largest = max(float(np.abs(expected).max(initial=0.0)), float(np.finfo(np.float32).tiny))
    error = float(np.abs(found - expected).max(initial=0.0)) / largest
    if error <= answer.limit:
        return None
    return f"off by {error:.3g} of the largest value (limit {answer.limit:.3g})"
