"""Preflight of many models, a row each: would each compile whole, and would it fit a core?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

import torch

from compile.preflight.check import preflight
from compile.preflight.costs import Costs, costs
from compile.preflight.report import PreflightReport, all_together, counted_views
from compile.preflight.scenes import SceneShapes, scene_preflight
from compile.shapes_only import build_without_values
from compile.targets.modes import Mode
from depth.chips import CHIPS
from depth.console import markdown
from depth.family import Model
from depth.network.base import Network
from depth.sizes import Size, size_text

# Passes whose multiply-accumulates the table has.
_COUNTED = ("resize", "class_token", "attention_blocks")
_HEADING = (
    "model",
    "sizes",
    "operators",
    "on the CPU",
    *(f"extra MACs of {name}" for name in _COUNTED),
    "constants",
    "memory per core, estimated",
    "fits",
)
_NUMBERS = range(2, len(_HEADING) - 1)


@dataclass(frozen=True)
class ModelRow:
    """A model at its sizes; reports and costs are in the order of the sizes."""

    name: str
    sizes: tuple[Size, ...]
    programs: tuple[tuple[PreflightReport, ...], ...]  # all that are needed at a size
    costs: tuple[Costs, ...]
    views: Optional[int] = None  # of a scene, of models of scenes

    @property
    def left_for_cpu(self) -> int:
        return sum(report.left_for_cpu for reports in self.programs for report in reports)

    @property
    def fits(self) -> list[bool]:
        return [
            all(report.fits for report in reports) and all_together(reports).passed
            for reports in self.programs
        ]

    def cells(self) -> tuple[str, ...]:
        chip, every = CHIPS[self.programs[0][0].target], self.programs
        scenes = f", {counted_views(self.views)}" if self.views else ""
        most = f" of {chip.constants_bytes / 1e9:.1f}" if chip.constants_bytes else ""
        return (
            f"`{self.name}`",
            _once(size_text(size) for size in self.sizes) + scenes,
            _once(str(sum(row.count for one in all_ for row in one.rows)) for all_ in every),
            _once(str(sum(one.left_for_cpu for one in all_)) for all_ in every),
            *(_once(_percent(one, name) for one in self.costs) for name in _COUNTED),
            _once(_gb(max(one.constants_bytes for one in all_)) for all_ in every) + f"{most} GB",
            _once(_gb(all_together(all_).core_bytes) for all_ in every)
            + f" of {chip.core_bytes / 1e9:.0f} GB",
            _once("yes" if fits else "no" for fits in self.fits),
        )


def rows_of(
    models: Sequence[Model],
    target: str,
    sizes: Sequence[Size],
    views: Sequence[int],
    passes: Sequence[str],
    mode: Optional[Mode],
    on_step: Callable[[str], None],
) -> list[ModelRow]:
    """A row for each model at these sizes, or at those of `sizes_of` if there are none.

    A model of scenes has a row for each number of views. Raises what `preflight` raises, and
    InputError for a size that a model cannot have.
    """
    known: dict[tuple[object, ...], Costs] = {}
    found = []
    for model in models:
        network = build_without_values(model)
        shapes = tuple(tuple(weights.shape) for weights in network.parameters())
        own = tuple(sizes) or sizes_of(model)
        for count in views if model.takes_scenes else (None,):
            reports = []
            for size in own:
                on_step(f"{model.name} at {size_text(size)}: lower and trace")
                network.fix_size(*size)
                reports.append(_reports(network, target, count, passes, mode))
                key = shapes, size, count
                if key not in known:  # models that differ in their taps cost the same
                    known[key] = costs(network, passes, count or 1)
            counted = tuple(known[shapes, size, count] for size in own)
            found.append(ModelRow(model.name, own, tuple(reports), counted, count))
    return found


def _reports(
    network: Network,
    target: str,
    views: Optional[int],
    passes: Sequence[str],
    mode: Optional[Mode],
) -> tuple[PreflightReport, ...]:
    """Of one image, or of every stage of a scene."""
    if views is not None:
        shapes = SceneShapes(views=(views,))
        return tuple(scene_preflight(network, target, shapes, passes, mode, counting=False))
    images = torch.empty(1, 3, *network.fixed_size)
    return (preflight(network, images, target, passes, mode, counted=False),)


def sizes_of(model: Model) -> tuple[Size, ...]:
    """The size that the checkpoints are made for, and the first other size of the model's rule."""
    native = model.native_size
    by_rule = (model.size.size_for(1, 1), model.size.size_for(3, 4))
    return native, next(size for size in by_rule if size != native)


def table_text(rows: Sequence[ModelRow]) -> str:
    """Markdown."""
    return "\n".join(markdown(_HEADING, [row.cells() for row in rows], _NUMBERS))


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f}"


def _percent(found: Costs, name: str) -> str:
    macs = sum(cost.macs for cost in found.passes if cost.name.partition("=")[0] == name)
    return f"{100 * macs / found.macs_before:.1f} %" if macs else "0"


def _once(texts: Iterable[str]) -> str:
    """Texts with commas; one if all are alike."""
    found = list(texts)
    return ", ".join(found if len(set(found)) > 1 else found[:1])
