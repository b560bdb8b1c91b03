"""What would fit a core where a program does not: a smaller batch, size or model. Estimated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

import torch

from compile.preflight.check import preflight
from compile.preflight.report import PreflightReport
from compile.shapes_only import build_without_values
from compile.targets.modes import Mode
from depth.chips import CHIPS
from depth.family import Model, models
from depth.sizes import Size, size_text

_PERCENT = (85, 70, 50, 35)  # of each side


def what_fits(
    model: Model,
    report: PreflightReport,
    shape: tuple[Size, int],
    passes: Optional[Sequence[str]],
    mode: Optional[Mode],
) -> str:
    """In words: "batch 2, vitb". "" if nothing was found.

    report  of the program that does not fit
    shape   its (height, width) in px, and its batch
    """

    def fits(row: Model, size: Size, batch: int) -> bool:
        network = build_without_values(row)
        network.fix_size(*size)
        images = torch.empty(batch, 3, *size)
        return preflight(network, images, report.target, passes, mode, counted=False).fits

    size, batch = shape
    found = []
    if report.constants_fit and report.footprint.weights_bytes < CHIPS[report.target].core_bytes:
        own = (*_batches(size, batch), *((smaller, 1) for smaller in _sizes(model, size)))
        held = next(((s, b) for s, b in own if fits(model, s, b)), None)
        if held is not None:
            found.append(f"batch {held[1]}" if held[0] == size else f"size {size_text(held[0])}")
    other = next((row.name for row in smaller(model) if fits(row, size, batch)), None)
    return ", ".join([*found, *filter(None, [other])])


def _batches(size: Size, batch: int) -> Iterator[tuple[Size, int]]:
    while batch > 1:
        batch //= 2
        yield size, batch


def _sizes(model: Model, size: Size) -> Iterator[Size]:
    """Smaller sizes of nearly the same shape, the largest first."""
    step = model.size.multiple_px
    for percent in _PERCENT:
        height, width = (max(1, side * percent // 100 // step) * step for side in size)
        yield height, width


def smaller(model: Model) -> list[Model]:
    """The models of the family with fewer weights and the same kind of depth, largest first."""
    counts = {
        row.name: _weights(row)
        for row in models().values()
        if (row.family, row.depth) == (model.family, model.depth)
    }
    own = counts.get(model.name) or _weights(model)
    names = [name for name in counts if counts[name] < own]
    return [models()[name] for name in sorted(names, key=lambda name: -counts[name])]


def _weights(model: Model) -> int:
    return sum(weights.numel() for weights in build_without_values(model).parameters())
