"""Everything compile/ raises on purpose.

CompileError
├── BuildError     a target could not build or load its program
├── ParityError    the saved program does not give the reference's numbers
└── TargetError    no such target, or a precision it does not have (also a ValueError)
"""


class CompileError(Exception):
    """The base of this package's errors; its text says what happened and what to do."""


class BuildError(CompileError):
    """A target could not build or load its program."""


class ParityError(CompileError):
    """The saved program does not give the reference's numbers."""


class TargetError(CompileError, ValueError):
    """No such target, or a precision that it does not have."""
