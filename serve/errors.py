"""Everything serve/ raises on purpose.

ServeError
├── ClosedError        the scheduler takes no more work, or dropped what had not begun
├── DiskFullError      a disk has no room for another result; also an OutOfServiceError
├── ExpiredError       a request's deadline passed before a core was free
├── GivenUpError       the caller of a scene gave it up
├── ManifestError      a folder job cannot keep its manifest, or another job has the folder
├── NoImagesError      there is nothing to do
├── NoProgramError     no loaded artifact has a program for the image
├── OutOfServiceError  no core is left that works
├── ProgramError       a runtime could not load or run a program
├── QueueFullError     too many requests wait already
├── RefusedError       an artifact must not be served as it is
└── RestartError       only a new process can use the cores again; also an OutOfServiceError
"""

from __future__ import annotations

from enum import Enum
from typing import Optional

# Of a process that has to be started again, which then finishes its work: EX_TEMPFAIL of sysexits.
RESTART = 75


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


class ClosedError(ServeError):
    """The scheduler is closed: it takes no more work, and dropped what had not begun."""


class ExpiredError(ServeError):
    """The deadline of a request passed before it began to run."""


class GivenUpError(ServeError):
    """The caller of a scene said that nobody wants it any more."""


class ManifestError(ServeError):
    """A folder job's manifest cannot be used: the disk refuses, or another job has it."""


class NoImagesError(ServeError):
    """The input names no image."""


class NoProgramError(ServeError):
    """No artifact at hand has a program for this image under the shape policy."""


class OutOfServiceError(ServeError):
    """No further image can be worked on: every core failed and was taken out of service."""


class RestartError(OutOfServiceError):
    """A core could not be opened again in this process: start the process again."""

    exit_code = RESTART  # of a command that ends with this error


class DiskFullError(OutOfServiceError):
    """The disk has no room for another result."""


class ProgramError(ServeError):
    """A runtime is not installed, or could not load or run a program.

    `action` is what helps, where a NeuronCore's runtime says.
    """

    def __init__(self, message: str, action: Optional[Action] = None) -> None:
        super().__init__(message)
        self.action = action


class QueueFullError(ServeError):
    """So many requests wait that another one is not taken; send it again later.

    `retry_after_s` is when there should be room, where that can be told.
    """

    def __init__(self, message: str, retry_after_s: Optional[int] = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedError(ServeError):
    """The artifact failed its parity gate, or does not go with the others."""
