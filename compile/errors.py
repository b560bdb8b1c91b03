"""Everything compile/ raises on purpose.

CompileError
├── BuildError      a target could not build or load its program
│   ├── CompilerError  the target's compiler crashed, or ran out of memory or time
│   ├── FloatLayersError  the float layers of int8 alone are over the limit
│   └── HostError      this machine lacks what the target's compiler needs
├── JobError        a compile job cannot be run, or is run already
├── ParityError     the saved program does not give the reference's numbers
├── PrecisionError  no precision mode keeps the numbers, by forecast
├── PreflightError  the target's compiler or its device would refuse a program
└── TargetError     no such target, or a precision it does not have (also a ValueError)
"""


class CompileError(Exception):
    """The base of this package's errors; its text says what happened and what to do."""


class BuildError(CompileError):
    """A target could not build or load its program."""


class CompilerError(BuildError):
    """The target's compiler died. Something easier may still compile."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause  # "memory", "time", "size", "layout" or "crash"


class FloatLayersError(BuildError):
    """The float layers of int8 alone are over the limit, in the arithmetic of this CPU."""


class HostError(BuildError):
    """This machine lacks what the target's compiler needs."""


class JobError(CompileError):
    """A compile job cannot be run, or is run already by another process."""


class ParityError(CompileError):
    """The saved program does not give the reference's numbers."""


class PrecisionError(CompileError):
    """No precision mode keeps the numbers, by forecast."""


class PreflightError(CompileError):
    """The target's compiler or its device would refuse a program."""


class TargetError(CompileError, ValueError):
    """No such target, or a precision that it does not have."""
