"""What preflight found, in words: for a terminal, and for the report of a build."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from compile.preflight.costs import Costs, PassCost
from compile.preflight.findings import ON_CHIP
from compile.preflight.memory import Footprint
from depth.chips import CHIPS
from depth.console import aligned, markdown

HEADING = ("operator", "count", "verdict", "where", "what to do")
_MAX_PLACES = 2  # of operators that run on the chip; all others are named in full


@dataclass(frozen=True)
class Row:
    """Nodes of one kind with one verdict."""

    operator: str
    verdict: str
    remedy: str
    places: Mapping[str, int]  # module path: how many nodes it has

    @property
    def count(self) -> int:
        return sum(self.places.values())

    @property
    def passed(self) -> bool:
        return self.verdict == ON_CHIP

    def cells(self) -> tuple[str, ...]:
        where = _shortened(self.places) if self.passed else _named(self.places)
        return self.operator, str(self.count), self.verdict, where, self.remedy


@dataclass(frozen=True)
class Work:
    """Multiply-accumulates of one image, and what the lowering passes add to them."""

    macs: Mapping[str, int]  # by kind
    costs: Optional[Costs] = None  # None: of a stage


@dataclass(frozen=True)
class PreflightReport:
    """One program. Memory is an estimate; nothing here was measured on a device."""

    program: str  # "518x686-b1"
    target: str
    torch_version: str  # that traced the graph
    nodes: int  # constants and lists among them, which are no operators
    rows: Sequence[Row]  # operators, what fails first
    constants_bytes: int
    largest_constants: Sequence[tuple[str, int]]  # name and bytes
    footprint: Footprint
    work: Optional[Work] = None  # of a whole network; not counted for a part of it
    advice: str = ""  # what would fit a core in place of it, in words
    stage: str = ""  # of a model of scenes
    views: Optional[int] = None  # of a scene, where the stage knows them

    @property
    def passed(self) -> bool:
        return not self.problems()

    @property
    def unit(self) -> str:
        """What a run of the program is for, in words."""
        if self.views is None:
            return "view" if self.stage else "image"
        return f"scene of {counted_views(self.views)}"

    @property
    def left_for_cpu(self) -> int:
        return sum(row.count for row in self.rows if not row.passed)

    @property
    def constants_fit(self) -> bool:
        """Whether the compiler reads as many constants."""
        limit = CHIPS[self.target].constants_bytes
        return limit is None or self.constants_bytes <= limit

    @property
    def fits(self) -> bool:
        """Whether a core holds the program, and the compiler reads its constants."""
        return self.constants_fit and self.footprint.total_bytes <= CHIPS[self.target].core_bytes

    def problems(self) -> list[str]:
        """What keeps the program from the chip, one line each; empty if nothing does."""
        chip = CHIPS[self.target]
        found = []
        if self.left_for_cpu:
            kinds = ", ".join(dict.fromkeys(row.operator for row in self.rows if not row.passed))
            found.append(f"{self.left_for_cpu} operators would not run on the chip: {kinds}")
        if not self.constants_fit:
            found.append(
                f"constants of {_gb(self.constants_bytes)}, the compiler reads "
                f"{_gb(chip.constants_bytes or 0)} at most: take a smaller model"
                + ("" if self.stage else ", or split it into its stages")
            )
        if self.footprint.total_bytes > chip.core_bytes:
            smaller = "batch" if self.views is None else "number of views"
            found.append(
                f"about {_gb(self.footprint.total_bytes)} of device memory, a core has "
                f"{_gb(chip.core_bytes)}: take a smaller size, {smaller} or model"
            )
        if self.advice:
            found[-1] += f" (by the same estimate this fits: {self.advice})"
        return found

    def text(self) -> str:
        return "\n".join([*self._summary("  "), "", *aligned([HEADING, *self._cells()])])

    def markdown(self) -> str:
        first, *rest = self._summary("- ")
        return "\n".join([f"## {first}", "", *rest, "", *markdown(HEADING, self._cells())])

    def _cells(self) -> list[tuple[str, ...]]:
        return [row.cells() for row in self.rows]

    def _summary(self, mark: str) -> list[str]:
        total = sum(row.count for row in self.rows)
        lines = [
            f"operators: {total} of {len({row.operator for row in self.rows})} kinds, "
            f"{self.left_for_cpu} left for the CPU",
            f"graph: {self.nodes} nodes, all judged; traced with torch {self.torch_version}",
            *self._work(),
            self._constants(),
            *_footprint(self.footprint, self.unit),
            *(f"FAILS: {problem}" for problem in self.problems()),
        ]
        verdict = "passes" if self.passed else "FAILS"
        return [f"{self.program} for {self.target}: {verdict}", *(mark + line for line in lines)]

    def _work(self) -> list[str]:
        if self.work is None:
            return []
        total = sum(self.work.macs.values())
        parts = ", ".join(f"{kind} {count / 1e9:.1f}" for kind, count in self.work.macs.items())
        lines = [f"multiply-accumulates: {total / 1e9:.1f} G per {self.unit} ({parts})"]
        if self.work.costs and self.work.costs.passes:
            lines.append(
                f"added by the passes: {self.work.costs.extra_percent:+.1f} % ("
                + ", ".join(_cost(cost) for cost in self.work.costs.passes)
                + ")"
            )
        return lines

    def _constants(self) -> str:
        limit = CHIPS[self.target].constants_bytes
        names = ", ".join(f"{name} {_mb(size)}" for name, size in self.largest_constants)
        return (
            f"weights and constants in the graph: {_mb(self.constants_bytes)}"
            + (f" of {_mb(limit)} that the compiler reads" if limit is not None else "")
            + (f"; largest: {names}" if names else "")
        )


@dataclass(frozen=True)
class DeviceMemory:
    """All programs together, a copy of each on every core of a chip; an estimate."""

    target: str
    footprints: Mapping[str, Footprint]  # by program

    @property
    def core_bytes(self) -> int:
        return sum(footprint.total_bytes for footprint in self.footprints.values())

    @property
    def passed(self) -> bool:
        return self.core_bytes <= CHIPS[self.target].core_bytes

    def text(self) -> str:
        chip = CHIPS[self.target]
        verdict = "fits" if self.passed else "FAILS: build fewer programs, or smaller ones"
        return (
            f"device memory, estimated without the programs' code: {len(self.footprints)} "
            f"program(s), one copy per core: {_gb(self.core_bytes)} of {_gb(chip.core_bytes)} "
            f"per core, {_gb(chip.cores * self.core_bytes)} of {_gb(chip.chip_bytes)} per chip "
            f"of {chip.cores} cores: {verdict}"
        )


def problems_alone(reports: Sequence[PreflightReport]) -> list[str]:
    """What keeps each program from the chip, a line each."""
    return [f"{report.program}: {text}" for report in reports for text in report.problems()]


def problems_of(reports: Sequence[PreflightReport]) -> list[str]:
    """What keeps the programs from the chip, alone and all together, a line each."""
    found = problems_alone(reports)
    if len(reports) > 1 and not all_together(reports).passed:
        found.append("the programs do not fit into device memory together; make fewer")
    return found


def all_together(reports: Sequence[PreflightReport]) -> DeviceMemory:
    """The memory of at least one program for the same target."""
    return DeviceMemory(reports[0].target, {report.program: report.footprint for report in reports})


def counted_views(views: int) -> str:
    return "1 view" if views == 1 else f"{views} views"


def _cost(cost: PassCost) -> str:
    parts = [f"{cost.macs / 1e9:+.2f} G"] if cost.macs else []
    parts += [f"{cost.constant_bytes / 1e6:+.2f} MB of constants"] if cost.constant_bytes else []
    return f"{cost.name}: {' and '.join(parts) or 'nothing'}"


def _footprint(copy: Footprint, of: str) -> list[str]:
    return [
        f"device memory per copy, estimated for mode {copy.mode}: "
        f"weights {_mb(copy.weights_bytes)}, activations {_mb(copy.activations_bytes)} at most "
        f"({copy.peak_at}); its code comes on top, and only the compiler knows it",
        f"host to device per {of}: {_mb(copy.input_bytes)} in, {_mb(copy.output_bytes)} out",
    ]


def _named(places: Mapping[str, int]) -> str:
    return ", ".join(
        (path or "the network") + (f" ({count})" if count > 1 else "")
        for path, count in places.items()
    )


def _shortened(places: Mapping[str, int]) -> str:
    """encoder.blocks.0.attn and its likes become encoder.blocks.*.attn."""
    patterns: Counter[str] = Counter()
    for path, count in places.items():
        patterns[re.sub(r"(?<=\.)\d+(?=\.|$)", "*", path)] += count
    common = patterns.most_common(_MAX_PLACES)
    more = len(patterns) - len(common)
    return _named(dict(common)) + (f" and {more} more" if more else "")


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB"
