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
from compile.neuron.metrics import compiler_message, last_words
from compile.neuron.watchdog import Watch
from depth.errors import first_line

_GB = 1e9
_FAILED_WITH = re.compile(r"neuronx-cc failed with (-?\d+)")
# neuronx-cc says with such a code that the program, not the compiler, is at fault.
_REFUSAL = re.compile(r"\[NCC_E|Unsupported CustomCall target")
# Causes of a CompilerError that a certain step cures, see compile/neuron/fallbacks.py.
TOO_LARGE, LAYOUT = "size", "layout"
# As issues of aws-neuron/aws-neuron-sdk word them: limits on instructions (#495, #739, #801, #987),
# and an access pattern in a graph whose parts compile (#709). Then codes of neuronx-cc.
_IS_TOO_LARGE = re.compile(
    r"too many instructions|Number of instructions .*over the threshold|"
    r"Access pattern out of bound|"
    r"NCC_(EOOM001|EOOM002|EVRF007|EVRF009|EBVF030|EXTP004)",
    re.IGNORECASE,
)
_IS_LAYOUT = re.compile("list index out of range")  # #394, with exact transposes
# What AWS advises for compile hosts, and where the kernel ended compilers of others (#439, #1064).
_MORE_MEMORY = (
    "compile on a machine with more memory: AWS names c5.4xlarge, which has 32 GB; 16 GB were too "
    "small for others, and a model larger than vits may need more than 32 GB"
)


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


def died(run: Evidence, left: Optional[str]) -> Optional[CompilerError]:
    """Why the compiler's process died, if it did, as far as log and watchdog know.

    left  what the compile log says is left for the CPU
    """
    found = _first((_out_of_time, _out_of_memory, _crashed), run)
    return _compiler_error(run, *found, left) if found else None


def explained(run: Evidence) -> BuildError:
    """The SDK's exception in words, with what the compiler said."""
    order = (_out_of_time, _out_of_memory, _unsupported, _refused, _crashed)
    cause, text = _first(order, run) or ("", _unknown(run))
    return _compiler_error(run, cause, text) if cause else BuildError(f"{text}; {_files(run)}")


def _compiler_error(
    run: Evidence, cause: str, text: str, left: Optional[str] = None
) -> CompilerError:
    ended = cause in ("memory", "time")  # the compiler itself may know of no error then
    message = compiler_message(run.work) if ended else _message(run)
    said = ": ".join(filter(None, [text, message]))
    return CompilerError(cause, "; ".join(filter(None, [said, left, _files(run)])))


def _files(run: Evidence) -> str:
    return f"the compiler's files are in {run.work}"


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
    return "memory", f"the compiler was ended {how}; {_MORE_MEMORY}"


def _unsupported(run: Evidence) -> Diagnosis:
    operators = run.unsupported() if isinstance(run.error, (AttributeError, RuntimeError)) else ""
    if not operators:
        return None
    see = "lower them away, see `python -m compile preflight`"
    return "", f"the compiler does not support {operators}; {see}"


def _refused(run: Evidence) -> Diagnosis:
    message = compiler_message(run.work) or ""
    if not _REFUSAL.search(message) or _IS_TOO_LARGE.search(message):
        return None
    return "", f"the compiler refuses the program: {message}"


def _crashed(run: Evidence) -> Diagnosis:
    codes = [code for code in run.return_codes if code]
    if run.log.aborted:
        how = "aborted"
    elif codes:
        how = f"ended with code {codes[-1]}"
    elif isinstance(run.error, subprocess.SubprocessError):
        how = f"failed: {first_line(run.error)}"
    else:
        return None
    message = _message(run) or ""
    cause = LAYOUT if _IS_LAYOUT.search(message) else "crash"
    return TOO_LARGE if _IS_TOO_LARGE.search(message) else cause, f"the compiler {how}"


def _message(run: Evidence) -> Optional[str]:
    return compiler_message(run.work) or last_words(run.work)


def _unknown(run: Evidence) -> str:
    error = run.error or RuntimeError("no reason given")
    return (
        f"the network cannot be compiled: {type(error).__name__}: {first_line(error)}; "
        "`python -m compile preflight` may name the operator"
    )
