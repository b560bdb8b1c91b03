"""The arrays of a run against what the manifest says of its program."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import Action, ProgramError


class Tensors:
    """The inputs and outputs of a loaded program: shapes of one run by name, in its order.

    label  how messages call the program
    """

    def __init__(self, artifact: Artifact, program: Program) -> None:
        self.label = f"{artifact.folder.name} {program.name}"
        self.inputs = program.shapes(program.inputs)
        self.outputs = program.shapes(program.outputs)

    def checked_inputs(self, arrays: Arrays) -> dict[str, FloatArray]:
        """The program's inputs in its order, of arrays that may be more than these.

        Raises ProgramError if an input is missing, or is not float32 in exactly the program's
        shape.
        """
        found: dict[str, FloatArray] = {}
        for name, shape in self.inputs.items():
            if name not in arrays:
                raise ProgramError(
                    f"{self.label}: needs input {name}, given were {', '.join(arrays) or 'none'}",
                    Action.REQUEST_FAULT,
                )
            array = found[name] = arrays[name]
            if array.shape != shape or array.dtype != np.float32:
                raise ProgramError(
                    f"{self.label}: takes {name} as float32 {list(shape)}, not {array.dtype} "
                    f"{list(array.shape)}",
                    Action.REQUEST_FAULT,
                )
        return found

    def checked_outputs(self, values: Sequence[FloatArray]) -> dict[str, FloatArray]:
        """The program's outputs by name, from what it gave in its order.

        Raises ProgramError if their number or a shape is not as the manifest says.
        """
        if len(values) != len(self.outputs):
            raise self._damaged(f"gave {len(values)} outputs, expected {len(self.outputs)}")
        for (name, shape), array in zip(self.outputs.items(), values):
            if array.shape != shape:
                raise self._damaged(
                    f"output {name} has shape {list(array.shape)}, expected {list(shape)}"
                )
        return dict(zip(self.outputs, values))

    def check_names(
        self, inputs: Sequence[Collection[str]], outputs: Sequence[Collection[str]]
    ) -> None:
        """Raises ProgramError unless a graph has exactly the manifest's inputs, and its outputs.

        `inputs`, `outputs`: for each tensor of the graph all the names that it has.
        """
        strange = [names for names in inputs if not self.inputs.keys() & set(names)]
        have = {each for names in (*inputs, *outputs) for each in names}
        wanted = [*self.inputs, *self.outputs]
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
