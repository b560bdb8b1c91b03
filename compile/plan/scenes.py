"""Scenes of several views on one instance: what a scene costs, and what a view of it costs.

Prefix and head run once for each view, the other stages once for the scene, all on one core. What
goes from stage to stage takes a trip through the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from compile.plan.estimate import DECODE_MS, Estimate, Host, Layout, Range, estimate
from compile.plan.plan import check_host
from compile.plan.tables import range_line, range_text
from compile.plan.work import Work, scene_work_of
from depth.chips import Instance, instance_named
from depth.console import markdown
from depth.family import Model
from depth.sizes import Size, size_text

_COLUMNS = (
    "network",
    "instance",
    "views",
    "GMAC per view",
    "scene, ms",
    "with all prefixes cached, ms",
    "views/s",
    "bound by",
    "$ per million scenes",
    "$ per million views",
    "$ per million new frames, half of them cached",
)


@dataclass(frozen=True)
class ScenePlan:
    """Scenes of one number of views on one instance; every core is at work on its own scene."""

    name: str  # model and size
    views: int
    instance: Instance
    macs_per_view: float
    scene: Estimate  # of scenes in the place of images; no prefix is cached
    cached: Estimate  # all prefixes are
    overlapping: Estimate  # half of the prefixes are, rounded down

    @property
    def new_frames(self) -> int:
        """Of a scene that shares half of its frames, rounded down, with the scene before."""
        return self.views - self.views // 2

    def cells(self) -> tuple[str, ...]:
        scene, overlapping = self.scene, self.overlapping
        return (
            self.name,
            self.instance.name,
            str(self.views),
            f"{self.macs_per_view / 1e9:.1f}",
            range_text(scene.latency_ms),
            range_text(self.cached.latency_ms),
            range_text(scene.images_per_s.map(lambda value: value * self.views)),
            scene.bound,
            range_text(scene.dollars_per_million),
            range_text(_divided(scene.dollars_per_million, self.views)),
            range_text(_divided(overlapping.dollars_per_million, self.new_frames)),
        )


def scene_plan_for(
    model: Model,
    size: Size,
    views: int,
    instance: str,
    dollars_per_hour: Optional[float] = None,
    decode_ms: float = DECODE_MS,
) -> ScenePlan:
    """Estimate scenes of `views` views at a size (height, width) in px.

    Raises InputError for an unknown instance, a size that no network can have, and a price or a
    time that make no sense.
    """
    model.size.check(size)
    machine = instance_named(instance)
    price = machine.dollars_per_hour if dollars_per_hour is None else dollars_per_hour
    check_host(price, decode_ms)
    stages = scene_work_of(model, size, views)
    first = stages[0][0]

    def of(prefixes: int, decoded: int) -> Estimate:
        """A scene: how often the first stage runs, and how many photographs it reads."""
        runs: list[Work] = []
        for name, work, of_scenes in stages:
            times = 1 if of_scenes else prefixes if name == first else views
            runs += [work] * times
        return estimate(runs, machine, Layout(), Host(decode_ms * decoded), price)

    macs = sum(
        sum(work.macs.values()) / (views if of_scenes else 1) for _, work, of_scenes in stages
    )
    new = views - views // 2
    return ScenePlan(
        f"{model.name} at {size_text(size)}",
        views,
        machine,
        macs,
        of(views, views),
        of(0, 0),
        of(new, new),
    )


def scene_table(plans: Sequence[ScenePlan]) -> str:
    """Markdown."""
    chips = dict.fromkeys(plan.instance.chip for plan in plans)
    lines = [
        "## Scenes: estimated, never measured",
        "",
        *map(range_line, chips),
        "- a scene runs on one core; all cores of the instance are at work on scenes of their own",
        "",
        *markdown(_COLUMNS, [plan.cells() for plan in plans], [2, 3, 4, 5, 6, 8, 9, 10]),
    ]
    return "\n".join(lines)


def _divided(found: Range, by: float) -> Range:
    return found.map(lambda value: value / by)
