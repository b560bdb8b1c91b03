"""One interface for loaded programs, whose arrays are compared with the manifest at each run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Optional, Protocol

import numpy as np

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import Action, ProgramError

Names = Sequence[Collection[str]]  # for each tensor of a graph all the names that it has


class Runtime(Protocol):
    """Runs one loaded program. Its memory goes with the last reference to it."""

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        """Inputs by name to outputs by name, float32 in exactly the shapes of `Program`.

        Further arrays are left alone. Safe in any thread; calls beyond what runs at once wait.
        Raises ProgramError.
        """


class CheckedProgram(ABC):
    """A `Runtime` of one program. Subclasses load it, and run it in `infer`.

    label            how messages call the program
    inputs, outputs  shapes of one run by name, in the program's order
    """

    def __init__(
        self, artifact: Artifact, program: Program, names: Optional[tuple[Names, Names]] = None
    ) -> None:
        """`names`: of the inputs and of the outputs of the graph, if it has any.

        Raises ProgramError unless they are the manifest's inputs, and its outputs.
        """
        self.label = label(artifact, program)
        if names is not None:
            self._check_names(program, *names)
        self.inputs = program.shapes(program.inputs)
        self.outputs = program.shapes(program.outputs)
        self._dtypes = {tensor.name: tensor.dtype for tensor in program.inputs}

    @abstractmethod
    def infer(self, given: dict[str, FloatArray]) -> Sequence[FloatArray]:
        """Inputs to outputs, both in the program's order. Raises ProgramError.

        Inputs have the dtypes that the manifest says, float32 or float16.
        """

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        """As `Runtime.run`: float32 in exactly the program's shapes, or ProgramError."""
        given: dict[str, FloatArray] = {}
        for name, shape in self.inputs.items():
            if name not in arrays:
                raise ProgramError(
                    f"{self.label}: needs input {name}, given were {', '.join(arrays) or 'none'}",
                    Action.REQUEST_FAULT,
                )
            array = arrays[name]
            if array.shape != shape or array.dtype != np.float32:
                raise ProgramError(
                    f"{self.label}: takes {name} as float32 {list(shape)}, not {array.dtype} "
                    f"{list(array.shape)}",
                    Action.REQUEST_FAULT,
                )
            given[name] = array.astype(self._dtypes[name], copy=False)
        values = self.infer(given)
        if len(values) != len(self.outputs):
            raise self._damaged(f"gave {len(values)} outputs, expected {len(self.outputs)}")
        for (name, shape), array in zip(self.outputs.items(), values):
            if array.shape != shape:
                raise self._damaged(
                    f"output {name} has shape {list(array.shape)}, expected {list(shape)}"
                )
        return dict(zip(self.outputs, values))

    def _check_names(self, program: Program, inputs: Names, outputs: Names) -> None:
        taken = {tensor.name for tensor in program.inputs}
        strange = [names for names in inputs if not taken & set(names)]
        have = {each for names in (*inputs, *outputs) for each in names}
        wanted = [tensor.name for tensor in (*program.inputs, *program.outputs)]
        if strange or not have.issuperset(wanted):
            called = ", ".join(
                "/".join(sorted(names)) or "(no name)" for names in (*inputs, *outputs)
            )
            raise self._damaged(
                f"its tensors are called {called}; the manifest says {', '.join(wanted)}"
            )

    def _damaged(self, what: str) -> ProgramError:
        return ProgramError(
            f"{self.label}: {what}; compile the artifact again", Action.ARTIFACT_FAULT
        )


@dataclass(frozen=True)
class Chain:
    """Programs one after the other, joined by the names of their tensors."""

    stages: Sequence[Runtime]
    outputs: tuple[str, ...]  # the names that are handed out

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        have = dict(arrays)
        for stage in self.stages:
            have.update(stage.run(have))
        return {name: have[name] for name in self.outputs}


def label(artifact: Artifact, program: Program) -> str:
    """How messages call a program."""
    return f"{artifact.folder.name} {program.name}"
