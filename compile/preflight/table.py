"""Preflight of many models, a row each: would each compile whole, and would it fit a core?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

import torch

from compile.preflight.check import preflight
from compile.preflight.costs import Costs, costs
from compile.preflight.report import PreflightReport
from compile.shapes_only import build_without_values
from compile.targets.modes import Mode
from depth.chips import CHIPS
from depth.console import markdown
from depth.family import Model
from depth.network.position import NATIVE_GRID
from depth.sizes import Size, size_text

# Passes whose multiply-accumulates the table has. The last is no default; it is counted all the
# same, for who asks for it.
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
    reports: tuple[PreflightReport, ...]
    costs: tuple[Costs, ...]

    @property
    def left_for_cpu(self) -> int:
        return sum(report.left_for_cpu for report in self.reports)

    def cells(self) -> tuple[str, ...]:
        chip = CHIPS[self.reports[0].target]
        most = f" of {chip.constants_bytes / 1e9:.1f}" if chip.constants_bytes else ""
        return (
            f"`{self.name}`",
            _once(size_text(size) for size in self.sizes),
            _once(str(sum(row.count for row in one.rows)) for one in self.reports),
            _once(str(one.left_for_cpu) for one in self.reports),
            *(_once(_percent(one, name) for one in self.costs) for name in _COUNTED),
            _once(f"{one.constants_bytes / 1e9:.2f}" for one in self.reports) + f"{most} GB",
            _once(f"{one.footprint.total_bytes / 1e9:.2f}" for one in self.reports)
            + f" of {chip.core_bytes / 1e9:.0f} GB",
            _once("yes" if one.fits else "no" for one in self.reports),
        )


def rows_of(
    models: Sequence[Model],
    target: str,
    sizes: Sequence[Size],
    passes: Sequence[str],
    mode: Optional[Mode],
    on_step: Callable[[str], None],
) -> list[ModelRow]:
    """A row for each model at these sizes, or at those of `sizes_of` if there are none.

    Raises what `preflight` raises, and InputError for a size that a model cannot have.
    """
    counted: dict[tuple[object, ...], Costs] = {}
    names = {text.partition("=")[0] for text in passes}
    every = [*passes, *(name for name in _COUNTED[-1:] if name not in names)]
    found = []
    for model in models:
        network = build_without_values(model)
        shapes = tuple(tuple(weights.shape) for weights in network.parameters())
        own = tuple(sizes) or sizes_of(model)
        reports = []
        for size in own:
            on_step(f"{model.name} at {size_text(size)}: lower and trace")
            network.fix_size(*size)
            images = torch.empty(1, 3, *size)
            reports.append(preflight(network, images, target, passes, mode, counted=False))
            if (shapes, size) not in counted:  # models that differ in their taps cost the same
                counted[shapes, size] = costs(network, every)
        found.append(
            ModelRow(model.name, own, tuple(reports), tuple(counted[shapes, one] for one in own))
        )
    return found


def sizes_of(model: Model) -> tuple[Size, ...]:
    """The size of the checkpoints' own patch grid, and the first other size of the model's rule."""
    side_px = NATIVE_GRID * model.size.multiple_px
    native = (side_px, side_px)
    by_rule = (model.size.size_for(1, 1), model.size.size_for(3, 4))
    return native, next(size for size in by_rule if size != native)


def table_text(rows: Sequence[ModelRow]) -> str:
    """Markdown."""
    return "\n".join(markdown(_HEADING, [row.cells() for row in rows], _NUMBERS))


def _percent(found: Costs, name: str) -> str:
    macs = sum(cost.macs for cost in found.passes if cost.name.partition("=")[0] == name)
    return f"{100 * macs / found.macs_before:.1f} %" if macs else "0"


def _once(texts: Iterable[str]) -> str:
    """Texts with commas; one if all are alike."""
    found = list(texts)
    return ", ".join(found if len(set(found)) > 1 else found[:1])
