"""The arrays of one run against what the manifest says of its program."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import Action, ProgramError


def label(artifact: Artifact, program: Program) -> str:
    """How messages call a program."""
    return f"{artifact.folder.name} {program.name}"


def inputs_of(program: Program, arrays: Arrays, name: str) -> list[FloatArray]:
    """The program's inputs in its order, of arrays that may be more than these.

    `name`: the program's, for messages. Raises ProgramError if an input is missing, or is not
    float32 in exactly the program's shape.
    """
    return [_input(program, arrays, i, name) for i in range(len(program.inputs))]


def outputs_of(program: Program, values: Sequence[FloatArray], name: str) -> dict[str, FloatArray]:
    """A program's outputs by name, from what it gave in its order.

    Raises ProgramError if their number or a shape is not as the manifest says.
    """
    if len(values) != len(program.outputs):
        raise _damaged(f"{name}: gave {len(values)} outputs, expected {len(program.outputs)}")
    for tensor, array in zip(program.outputs, values):
        expected = tensor.shape(program.shape)
        if array.shape != expected:
            raise _damaged(
                f"{name}: output {tensor.name} has shape {list(array.shape)}, expected "
                f"{list(expected)}"
            )
    return {tensor.name: array for tensor, array in zip(program.outputs, values)}


def check_names(
    program: Program,
    inputs: Sequence[Collection[str]],
    outputs: Sequence[Collection[str]],
    name: str,
) -> None:
    """Raises ProgramError unless a graph has exactly the manifest's inputs, and its outputs.

    `inputs`, `outputs`: for each tensor of the graph all the names that it has.
    """
    wanted = {tensor.name for tensor in program.inputs}
    strange = [names for names in inputs if not wanted & set(names)]
    have = {each for names in (*inputs, *outputs) for each in names}
    missing = [t.name for t in (*program.inputs, *program.outputs) if t.name not in have]
    if missing or strange:
        called = ", ".join("/".join(sorted(names)) or "(no name)" for names in (*inputs, *outputs))
        wants = ", ".join(tensor.name for tensor in (*program.inputs, *program.outputs))
        raise _damaged(f"{name}: its tensors are called {called}; the manifest says {wants}")


def _input(program: Program, arrays: Arrays, place: int, name: str) -> FloatArray:
    tensor = program.inputs[place]
    if tensor.name not in arrays:
        raise ProgramError(
            f"{name}: needs input {tensor.name}, given were {', '.join(arrays) or 'none'}",
            Action.REQUEST_FAULT,
        )
    array, expected = arrays[tensor.name], tensor.shape(program.shape)
    if array.shape != expected or array.dtype != np.float32:
        raise ProgramError(
            f"{name}: takes {tensor.name} as float32 {list(expected)}, not {array.dtype} "
            f"{list(array.shape)}",
            Action.REQUEST_FAULT,
        )
    return array


def _damaged(what: str) -> ProgramError:
    return ProgramError(f"{what}; compile the artifact again", Action.ARTIFACT_FAULT)
