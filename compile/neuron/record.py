"""What happened when a program was compiled: for the report, and kept in the compile cache."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from compile.neuron.log import CompilerLog
from compile.neuron.metrics import SubgraphMetrics
from depth.artifact.strict_json import decode, parse_object


@dataclass(frozen=True)
class Attempt:
    """A fallback with which the compiler died."""

    fallback: str
    cause: str  # as CompilerError has it
    error: str
    duration_s: float


@dataclass(frozen=True)
class BuildRecord:
    target: str
    precision: str
    compiler_arguments: tuple[str, ...]
    from_cache: bool  # the compiler did not run; the numbers are those of the run that was kept
    build_s: float
    peak_memory_bytes: int  # of the compiler's processes
    work_folder: str  # what the compiler left there, if nobody has deleted it
    log: CompilerLog
    subgraphs: tuple[SubgraphMetrics, ...]
    fallback: str = "as asked"  # see compile/neuron/fallbacks.py
    why: str = ""  # this fallback
    attempts: tuple[Attempt, ...] = ()  # what failed before

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the report must not miss."""
        found = [
            f"sub-graph {graph.name}: too many spills, the compiler turned optimisations off; the "
            "program is too large for the chip's own memory and will be slow"
            for graph in self.subgraphs
            if graph.gave_up_optimising
        ]
        if self.attempts:
            causes = ", ".join(f"{attempt.fallback} ({attempt.cause})" for attempt in self.attempts)
            found.append(
                f"built with {self.fallback}, because the compiler died: {causes}. {self.why}"
            )
        return tuple(found)


def dump_record(record: BuildRecord) -> bytes:
    return (json.dumps(asdict(record), indent=2, sort_keys=True) + "\n").encode()


def parse_record(data: bytes) -> BuildRecord:
    """Raises ValueError if this is no record of this version."""
    return decode(BuildRecord, parse_object(data))
