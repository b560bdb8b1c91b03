"""What the compiler leaves in a work folder: numbers of each sub-graph, warnings, its own errors.

The files are those of neuron-cc as seen in published work folders; AWS documents none of them. Of
neuronx-cc the name of its log is documented, and the codes of its errors.
"""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

METRICS = "all_metrics.csv"
_LOGS = ("graph_def.neuron-cc.log", "log-neuron-cc.txt", "log-neuron-cc.log")
OUTPUT, ERRORS = "compiler.out", "compiler.err"  # what the compiler printed on stdout and stderr
# What names a cause, the most telling first. Below a reason, an "Error message" is often no more
# than "Non-zero exit status (134)" of a part of the compiler.
_MESSAGES = tuple(
    map(
        re.compile,
        (
            r"Reason: +(\S.*)",
            r"(\[(?:NCC_E[A-Z]*|[A-Z]{3})\d{3}\] .+"
            r"|Unsupported CustomCall target: .+|Too many instructions .+)",
            r"Error message: +(\S.*)",
            r"Error class: +(\S.*)",
        ),
    )
)
_SPILLS = "too many spills required"

# Field -> (name, sub-graph, scope, sub-scope); None for any. The same name appears in other scopes
# with other meanings.
_ROWS = {
    "compile_s": ("CompilationTime", "all", "compile", None),
    "matmul_ops": ("matmul", None, "Tensorizer", "StaticProfiler"),
    "ddr_bytes": ("ddr_transfer", None, "Tensorizer", "StaticProfiler"),
    "pe_utilisation_percent": ("average_pe_utilization", None, "Tensorizer", "StaticProfiler"),
    "spilled_bytes": ("psum_spilled", None, "Tensorizer", "SpillPSum"),
}


@dataclass(frozen=True)
class SubgraphMetrics:
    """The compiler's own estimates for one sub-graph; None where it gave none."""

    name: str  # of its work folder
    compile_s: Optional[float] = None
    matmul_ops: Optional[float] = None  # two for each multiply-accumulate
    ddr_bytes: Optional[float] = None  # between chip and its memory, per run
    pe_utilisation_percent: Optional[float] = None  # of the matrix engine
    spilled_bytes: Optional[float] = None  # from the accumulators
    gave_up_optimising: bool = False  # "too many spills": too large for the chip, slow code


def read_metrics(work: Path) -> tuple[SubgraphMetrics, ...]:
    """One row for each sub-graph's folder in a work folder, in order."""
    folders = [work, *work.iterdir()] if work.is_dir() else []
    found = [folder for folder in folders if folder.is_dir() and _is_subgraph(folder)]
    return tuple(_read(folder) for folder in sorted(found, key=lambda folder: folder.name))


def compiler_message(work: Path) -> Optional[str]:
    """What the compiler said about its last error, if its output or its logs name a cause."""
    names = (OUTPUT, ERRORS, *_LOGS)
    text = "\n".join(_text(path) for name in names for path in sorted(work.rglob(name)))
    found = (pattern.findall(text) for pattern in _MESSAGES)
    return next((messages[-1].strip() for messages in found if messages), None)


def last_words(work: Path) -> Optional[str]:
    """The last line that the compiler printed on stderr, such as the end of a traceback."""
    lines = [line.strip() for line in _text(work / ERRORS).splitlines()]
    return next(filter(None, reversed(lines)), None)


def _is_subgraph(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (METRICS, *_LOGS))


def _read(folder: Path) -> SubgraphMetrics:
    found: dict[str, list[float]] = {field: [] for field in _ROWS}
    for row in csv.DictReader(_text(folder / METRICS).splitlines()):
        place = [row.get(key) for key in ("name", "subgraph", "scope", "sub_scope")]
        for field, wanted in _ROWS.items():
            if all(want in (None, got) for want, got in zip(wanted, place)):
                with suppress(TypeError, ValueError):  # "n/a", or a line that was cut off
                    found[field].append(float(row["value"]))
    spills = any(_SPILLS in _text(folder / name) for name in _LOGS)
    # The compiler may cut a graph into parts: their counts add up, their shares do not.
    values = {
        field: (min(numbers) if field.endswith("_percent") else sum(numbers)) if numbers else None
        for field, numbers in found.items()
    }
    return SubgraphMetrics(folder.name, gave_up_optimising=spills, **values)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
