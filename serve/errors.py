"""Everything serve/ raises on purpose.

ServeError
├── DepthFileError    a depth file cannot be written, or is not one that can be read
├── NoImages          there is nothing to do
├── NoProgram         no loaded artifact has a program for the image
├── Refused           an artifact must not be served as it is
└── RuntimeFailure    a runtime could not load or run a program
"""

from __future__ import annotations

from typing import Optional

from serve.neuron_status import Action


class ServeError(Exception):
    """The base of this package's errors; its text says what happened and what to do."""


class DepthFileError(ServeError):
    """A depth file cannot be written, or is missing, damaged, or says something else."""


class NoImages(ServeError):
    """The input names no image."""


class NoProgram(ServeError):
    """No artifact at hand has a program for this image under the shape policy."""


class Refused(ServeError):
    """The artifact failed its parity gate, or does not go with the others."""


class RuntimeFailure(ServeError):
    """A runtime is not installed, or could not load or run a program.

    `action` is what helps, where a NeuronCore's runtime says.
    """

    def __init__(self, message: str, action: Optional[Action] = None) -> None:
        super().__init__(message)
        self.action = action
