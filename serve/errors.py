"""Everything serve/ raises on purpose.

ServeError
├── Closed            the scheduler takes no more work, or dropped what had not begun
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

from enum import Enum
from typing import Optional


class Action(Enum):
    """What to do about a failed load or run."""

    RETRY = "retry"  # run it again, here or on another core
    BACK_PRESSURE = "back-pressure"  # send less: refuse or delay new requests
    UNLOAD = "unload"  # make room: unload a program, then try again
    RECYCLE = "recycle"  # open the runtime again, in a new process if need be
    REPLACE = "replace"  # take the core out of service; an operator has to look at the machine
    REQUEST_FAULT = "request fault"  # the input is at fault; trying again will not help
    ARTIFACT_FAULT = "artifact fault"  # the program is at fault: compile again


class ServeError(Exception):
    """The base of this package's errors; its text says what happened and what to do."""


class Closed(ServeError):
    """The scheduler is closed: it takes no more work, and dropped what had not begun."""


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
