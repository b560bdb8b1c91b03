"""Preflight of a model of scenes: a report for each of its stages, without weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Callable, Optional

from compile.macs import count_macs
from compile.parts import scene_parts
from compile.preflight.check import check, lowered_for
from compile.preflight.fitting import smaller
from compile.preflight.report import (
    DeviceMemory,
    PreflightReport,
    Work,
    all_together,
    counted_views,
)
from compile.shapes_only import build_without_values
from compile.targets.modes import Mode
from compile.targets.protocols import Part
from depth.artifact.program import program_name
from depth.chips import CHIPS
from depth.errors import InputError
from depth.family import Model
from depth.network.base import Network
from depth.sizes import Size


@dataclass(frozen=True)
class SceneShapes:
    """Which programs of a model of scenes there are at one size."""

    batches: tuple[int, ...] = (1,)  # views at a time, in stages that know one view
    views: tuple[int, ...] = (1,)  # of a scene
    rays: bool = False  # also the stage that gives rays

    def programs(self, model: Model) -> int:
        """How many there are."""
        stages = [*model.split, *([model.rays.stage] if self.rays and model.rays else [])]
        of_scenes = sum(stage.of_scenes for stage in stages)
        return of_scenes * len(self.views) + (len(stages) - of_scenes) * len(self.batches)

    def __post_init__(self) -> None:
        for name, counts in (("batch", self.batches), ("views", self.views)):
            for count in counts:
                if count < 1:
                    raise InputError(f"{name} {count}: must be at least 1")


def scene_preflight(
    network: Network,
    target: str,
    shapes: SceneShapes,
    passes: Optional[Sequence[str]],
    mode: Optional[Mode] = None,
    on_step: Callable[[str], None] = lambda _: None,
    counting: bool = True,
) -> list[PreflightReport]:
    """One report per program, at the network's size. Raises what `preflight` raises."""
    lowered = lowered_for(network, passes)
    found = []
    for part in scene_parts(lowered, shapes.batches, shapes.views, shapes.rays):
        name = program_name(part.stage.name, network.fixed_size, part.batch, part.views)
        on_step(f"{name}: trace")
        views = part.views if part.stage.of_scenes else None
        work = Work(_macs(part)) if counting else None
        report = check(part.module, part.examples, target, name, mode, work)
        found.append(replace(report, stage=part.stage.name, views=views))
    return found


def _macs(part: Part) -> dict[str, int]:
    """Of one view, or of one scene."""
    return count_macs(part.module, *(example[:1] for example in part.examples))


@dataclass(frozen=True)
class SceneCost:
    """What scenes of one number of views ask of a core: estimated, never measured."""

    views: int
    programs: tuple[PreflightReport, ...]  # that such scenes need
    split: tuple[str, ...]  # stages that every scene runs

    @property
    def memory(self) -> DeviceMemory:
        return all_together(self.programs)

    @property
    def fits(self) -> bool:
        return self.memory.passed and all(report.fits for report in self.programs)

    def macs_per_view(self) -> dict[str, float]:
        """Multiply-accumulates by stage; a scene runs the stages of `split`, first to last."""
        return {
            report.stage: sum(report.work.macs.values()) / (report.views or 1)
            for report in self.programs
            if report.work
        }

    def text(self) -> str:
        macs = self.macs_per_view()
        own = [name for name in self.split if name in macs]
        stages = ", ".join(f"{name} {macs[name] / 1e9:.1f}" for name in own)
        others = "".join(
            f"; {name} in place of {self.split[-1]}: {count / 1e9:.1f} G"
            for name, count in macs.items()
            if name not in self.split
        )
        most_bytes = CHIPS[self.memory.target].core_bytes
        return (
            f"scenes of {counted_views(self.views)}: {sum(macs[name] for name in own) / 1e9:.1f} G "
            f"multiply-accumulates per view ({stages}){others}; all its programs: "
            f"{self.memory.core_bytes / 1e9:.2f} GB of {most_bytes / 1e9:.2f} GB per core: "
            f"{'fits' if self.fits else 'FAILS'}"
        )


def scene_costs(model: Model, reports: Sequence[PreflightReport]) -> list[SceneCost]:
    """By the number of views, from the reports of `scene_preflight` at one size.

    Of a stage with several batches the first counts.
    """
    of_view: dict[str, PreflightReport] = {}
    for report in reports:
        if report.views is None:
            of_view.setdefault(report.stage, report)
    found: dict[int, list[PreflightReport]] = {}
    for report in reports:
        if report.views is not None:
            found.setdefault(report.views, [*of_view.values()]).append(report)
    split = tuple(stage.name for stage in model.split)
    return [SceneCost(views, tuple(programs), split) for views, programs in found.items()]


def advice(
    model: Model,
    target: str,
    shapes: SceneShapes,
    size: Size,
    passes: Optional[Sequence[str]],
    mode: Optional[Mode],
) -> str:
    """What would fit a core in place of the largest scenes, in words: fewer views, other models.

    Estimated. "" if nothing was found.
    """

    def fits(row: Model, views: int) -> bool:
        network = build_without_values(row)
        network.fix_size(*size)
        own = SceneShapes((min(shapes.batches),), (views,), shapes.rays)
        reports = scene_preflight(network, target, own, passes, mode, counting=False)
        return all(one.fits for one in scene_costs(row, reports))

    views = max(shapes.views)
    fewer = next((v for v in halves(views) if fits(model, v)), None)
    other = next((row.name for row in smaller(model) if fits(row, views)), None)
    return ", ".join([*([counted_views(fewer)] if fewer else []), *([other] if other else [])])


def halves(count: int) -> Iterator[int]:
    """4, 2 and 1 of 8."""
    while count > 1:
        count //= 2
        yield count
