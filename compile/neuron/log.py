"""What torch-neuron's log says about a compile run: how much is on the chip, and what failed.

The lines are those of torch-neuron 1.13.1 as seen in published logs; AWS documents none of them. A
log of another compiler has none of these lines, and then nothing is concluded from it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

_PREFIX = re.compile(r"^(?:[A-Z]+:[\w.]+:|\[[A-Z]+\] )")  # "INFO:Neuron:", or a second handler's
_COMPILED = re.compile(
    r"arithmetic operators \(post-compilation\) before = (\d+), compiled = (\d+), "
    r"percent compiled = ([\d.]+)%"
)
_SUBGRAPHS = re.compile(r"successfully compiled (\d+) sub-graphs, Total fused subgraphs = (\d+)")
_RETURNED = re.compile(r"Compile command returned: (-?\d+)")
_FELL_BACK = re.compile(r"trace failed on (\S+); falling back")
_OPERATOR = re.compile(r"=> (\w+::\w+): (\d+)(?: \[((?:not )?supported)\])?")


@dataclass(frozen=True)
class NotCompiled:
    operator: str
    count: int
    supported: bool  # the operator is listed: its sub-graph failed or was too small


@dataclass(frozen=True)
class CompilerLog:
    operators: Optional[int] = None  # arithmetic ones of the graph
    compiled: Optional[int] = None  # of these
    percent_compiled: Optional[float] = None
    subgraphs: Optional[int] = None
    compiled_subgraphs: Optional[int] = None
    fell_back: tuple[str, ...] = ()  # sub-graphs whose failure was swallowed
    return_codes: tuple[int, ...] = ()  # of the compiler, one per sub-graph
    aborted: bool = False
    not_compiled: tuple[NotCompiled, ...] = ()


def read_log(path: Path) -> CompilerLog:
    """Parse a log file: lines with or without a prefix, doubled by a second handler or not."""
    text = "\n".join(_undoubled(path.read_text(encoding="utf-8").splitlines()))
    compiled, subgraphs = _COMPILED.search(text), _SUBGRAPHS.search(text)
    left = text.partition("Not compiled operators")[2]
    return CompilerLog(
        operators=int(compiled[1]) if compiled else None,
        compiled=int(compiled[2]) if compiled else None,
        percent_compiled=float(compiled[3]) if compiled else None,
        subgraphs=int(subgraphs[2]) if subgraphs else None,
        compiled_subgraphs=int(subgraphs[1]) if subgraphs else None,
        fell_back=tuple(_FELL_BACK.findall(text)),
        return_codes=tuple(int(code) for code in _RETURNED.findall(text)),
        aborted="(SIG_ABORT)" in text,
        not_compiled=tuple(
            NotCompiled(operator, int(count), tag == "supported")
            for operator, count, tag in _OPERATOR.findall(left)
        ),
    )


def not_on_chip(log: CompilerLog) -> Optional[str]:
    """What the log says is left for the CPU, in words, or None."""
    found = []
    if log.fell_back:
        found.append(f"sub-graphs {', '.join(log.fell_back)} fell back to the CPU")
    if log.operators is not None and log.compiled != log.operators:
        found.append(f"{log.compiled} of {log.operators} operators were compiled")
    if log.not_compiled:
        names = ", ".join(
            f"{left.count} {left.operator} [{'' if left.supported else 'not '}supported]"
            for left in log.not_compiled
        )
        found.append(f"not compiled: {names}")
    return "; ".join(found) or None


@contextmanager
def logged_to(path: Path, logger_name: str) -> Iterator[None]:
    """Write what the SDK logs from level INFO on to a file, and keep it off the terminal."""
    logger = logging.getLogger(logger_name)
    handler = logging.FileHandler(path, encoding="utf-8")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.level, logger.propagate = before
        logger.removeHandler(handler)
        handler.close()


def _undoubled(lines: Iterable[str]) -> Iterator[str]:
    before = None
    for line in lines:
        text = _PREFIX.sub("", line.strip())
        if text != before:
            yield text
        before = text
