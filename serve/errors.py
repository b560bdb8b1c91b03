"""Everything serve/ raises on purpose.

ServeError
├── Closed            the scheduler takes no more work, or dropped what had not begun
├── DepthFileError    a depth file cannot be written, or is not one that can be read
├── Expired           a request's deadline passed before a core was free
├── JobError          a folder job cannot keep its manifest, or another one has the folder
├── NoImages          there is nothing to do
├── NoProgram         no loaded artifact has a program for the image
├── OutOfService      no core is left that works
├── QueueFull         too many requests wait already
├── Refused           an artifact must not be served as it is
└── RuntimeFailure    a runtime could not load or run a program
"""

from __future__ import annotations

from typing import Optional

from serve.neuron_status import Action


class ServeError(Exception):
    """The base of this package's errors; its text says what happened and what to do."""


class Closed(ServeError):
    """The scheduler is closed: it takes no more work, and dropped what had not begun."""


class DepthFileError(ServeError):
    """A depth file cannot be written, or is missing, damaged, or says something else."""


class Expired(ServeError):
    """The deadline of a request passed before it began to run."""


class JobError(ServeError):
    """A folder job's manifest cannot be used: the disk refuses, or another job has it."""


class NoImages(ServeError):
    """The input names no image."""


class NoProgram(ServeError):
    """No artifact at hand has a program for this image under the shape policy."""


class OutOfService(ServeError):
    """Every core failed and was taken out of service."""


class QueueFull(ServeError):
    """So many requests wait that another one is not taken; send it again later."""


class Refused(ServeError):
    """The artifact failed its parity gate, or does not go with the others."""


class RuntimeFailure(ServeError):
    """A runtime is not installed, or could not load or run a program.

    `action` is what helps, where a NeuronCore's runtime says.
    """

    def __init__(self, message: str, action: Optional[Action] = None) -> None:
        super().__init__(message)
        self.action = action
