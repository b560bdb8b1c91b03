"""Why a compile run failed: from its log, its watchdog, its work folder and the SDK's exception."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

from compile.errors import BuildError, CompilerError
from compile.neuron.log import CompilerLog
from compile.neuron.metrics import compiler_message
from compile.neuron.watchdog import Watch
from depth.errors import first_line

_GB = 1e9
_FAILED_WITH = re.compile(r"neuronx-cc failed with (-?\d+)")
# neuronx-cc says with such a code that the program, not the compiler, is at fault.
_REFUSAL = re.compile(r"\[NCC_E|Unsupported CustomCall target")
# Of these, the codes that call the program too large: a smaller program may compile.
_TOO_LARGE = re.compile(r"NCC_(EOOM001|EOOM002|EVRF007|EVRF009|EBVF030|EXTP004)")


@dataclass
class Evidence:
    """What a compile run leaves behind."""

    work: Path  # folder with the compiler's files
    watch: Watch
    unsupported: Callable[[], str]  # operators that the SDK does not support, with their modules
    log: CompilerLog = field(default_factory=CompilerLog)
    error: Optional[Exception] = None  # of the SDK

    @property
    def return_codes(self) -> tuple[int, ...]:
        """Of the compiler. torch-neuronx has the code in its exception, and not in its log."""
        code = _FAILED_WITH.search(str(self.error))
        return (*self.log.return_codes, int(code[1])) if code else self.log.return_codes


# The cause, as CompilerError has it, and a description. The cause is "" if every try would fail.
Diagnosis = Optional[tuple[str, str]]


def died(run: Evidence) -> Diagnosis:
    """Why the compiler's process died, if it did, as far as log and watchdog know."""
    return _first((_out_of_time, _out_of_memory, _crashed), run)


def explained(run: Evidence) -> BuildError:
    order = (_out_of_time, _out_of_memory, _unsupported, _refused, _crashed)
    cause, text = _first(order, run) or ("", _unknown(run))
    files = f"the compiler's files are in {run.work}"
    if not cause:
        return BuildError(f"{text}; {files}")
    message = compiler_message(run.work)
    return CompilerError(cause, f"{text}{f': {message}' if message else ''}; {files}")


def _first(order: tuple[Callable[[Evidence], Diagnosis], ...], run: Evidence) -> Diagnosis:
    return next(filter(None, (diagnosis(run) for diagnosis in order)), None)


def _out_of_time(run: Evidence) -> Diagnosis:
    if isinstance(run.error, subprocess.TimeoutExpired):
        return "time", f"the compiler ran for more than {run.error.timeout:.3g} s"
    if run.watch.cause == "time":
        return "time", "the compiler was ended at its time limit"
    return None


def _out_of_memory(run: Evidence) -> Diagnosis:
    if run.watch.cause == "memory":
        how = (
            f"when it held {run.watch.peak_bytes / _GB:.2f} GB, over its limit of "
            f"{run.watch.limit_bytes / _GB:.2f} GB"
        )
    elif -signal.SIGKILL in run.return_codes:
        how = "with signal 9, as the kernel does when memory runs out"
    else:
        return None
    return "memory", f"the compiler was ended {how}; compile on a machine with more memory"


def _unsupported(run: Evidence) -> Diagnosis:
    operators = run.unsupported() if isinstance(run.error, (AttributeError, RuntimeError)) else ""
    if not operators:
        return None
    see = "lower them away, see `python -m compile preflight`"
    return "", f"the compiler does not support {operators}; {see}"


def _refused(run: Evidence) -> Diagnosis:
    message = compiler_message(run.work) or ""
    if not _REFUSAL.search(message) or _TOO_LARGE.search(message):
        return None
    return "", f"the compiler refuses the program: {message}"


def _crashed(run: Evidence) -> Diagnosis:
    codes = [code for code in run.return_codes if code]
    if run.log.aborted:
        return "crash", "the compiler aborted"
    if codes:
        return "crash", f"the compiler ended with code {codes[-1]}"
    if isinstance(run.error, subprocess.SubprocessError):
        return "crash", f"the compiler failed: {first_line(run.error)}"
    return None


def _unknown(run: Evidence) -> str:
    error = run.error or RuntimeError("no reason given")
    return (
        f"the network cannot be compiled: {type(error).__name__}: {first_line(error)}; "
        "`python -m compile preflight` may name the operator"
    )
