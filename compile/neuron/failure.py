"""Why a compile run failed: from its log, its watchdog, its work folder and the SDK's exception."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

import torch

from compile.errors import BuildError, CompilerError
from compile.neuron.graph import described, modules_of
from compile.neuron.log import CompilerLog
from compile.neuron.metrics import compiler_message
from compile.neuron.watchdog import Watch
from depth.errors import first_line

_GB = 1e9
_FAILED_WITH = re.compile(r"neuronx-cc failed with (-?\d+)")
# neuronx-cc says with such a code that the program, not the compiler, is at fault.
_REFUSAL = re.compile(r"\[NCC_E|Unsupported CustomCall target")
# Of these, the ones that say it is too large: less of it may compile.
_TOO_LARGE = re.compile(r"NCC_(EOOM001|EOOM002|EVRF007|EVRF009|EBVF030|EXTP004)")


def died(log: CompilerLog, watch: Optional[Watch]) -> Optional[tuple[str, str]]:
    """Cause and description if the compiler's process died, as far as log and watchdog know."""
    if watch is not None and watch.cause == "memory":
        return "memory", (
            f"the compiler was ended when it held {watch.peak_bytes / _GB:.2f} GB, over its limit "
            f"of {watch.limit_bytes / _GB:.2f} GB; compile on a machine with more memory"
        )
    if watch is not None and watch.cause == "time":
        return "time", "the compiler was ended at its time limit"
    if -signal.SIGKILL in log.return_codes:
        return "memory", (
            "the compiler was ended with signal 9, as the kernel does when memory runs out; "
            "compile on a machine with more memory"
        )
    failed = [code for code in log.return_codes if code]
    if log.aborted or failed:
        how = "aborted" if log.aborted else f"ended with code {failed[-1]}"
        return "crash", f"the compiler {how}"
    return None


def explained(
    error: Exception,
    log: CompilerLog,
    watch: Optional[Watch],
    work: Path,
    unsupported: Callable[[], str],
) -> BuildError:
    """An exception of the SDK as one of ours.

    `unsupported` names the operators that the SDK does not support, with their modules.
    """
    files = f"the compiler's files are in {work}"
    if isinstance(error, subprocess.TimeoutExpired):
        return CompilerError(
            "time", f"the compiler ran for more than {error.timeout:.3g} s; {files}"
        )
    found = died(_with_code(log, error), watch)
    if found is None and isinstance(error, subprocess.SubprocessError):
        found = "crash", f"the compiler failed: {first_line(error)}"
    message = compiler_message(work)
    if found is None or found[0] == "crash":  # else it was ended for what it took
        refusal = _refusal(error, message, unsupported)
        if refusal:
            return BuildError(f"{refusal}; {files}")
    if found is not None:
        cause, text = found
        return CompilerError(cause, f"{text}{f': {message}' if message else ''}; {files}")
    return BuildError(
        f"the network cannot be compiled: {type(error).__name__}: {first_line(error)}; "
        f"`python -m compile preflight` may name the operator; {files}"
    )


def _with_code(log: CompilerLog, error: Exception) -> CompilerLog:
    """torch-neuronx tells the compiler's exit code in its exception, and not in its log."""
    code = _FAILED_WITH.search(str(error))
    return replace(log, return_codes=(*log.return_codes, int(code[1]))) if code else log


def _refusal(error: Exception, message: Optional[str], unsupported: Callable[[], str]) -> str:
    """What the SDK or its compiler will refuse each time, or nothing if another try may help."""
    see = "lower them away, see `python -m compile preflight`"
    missing = unsupported() if isinstance(error, (AttributeError, RuntimeError)) else ""
    if missing:
        return f"the compiler does not support {missing}; {see}"
    if message and _REFUSAL.search(message) and not _TOO_LARGE.search(message):
        return f"the compiler refuses the program: {message}"
    return ""


def unsupported(traced: torch.jit.ScriptModule, supported: frozenset[str]) -> str:
    """Operators of a trace that are not on the SDK's list, with their modules; else nothing."""
    found = {
        kind: paths
        for kind, paths in modules_of(traced).items()
        if kind.startswith("aten::") and kind not in supported
    }
    return "; ".join(
        f"{len(paths)} {kind} in {described(paths)}" for kind, paths in sorted(found.items())
    )
