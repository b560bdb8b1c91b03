"""Preflight for several programs of one model, without weights."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Callable, Optional

import torch

from compile.errors import PreflightError
from compile.preflight.check import preflight, torch_version
from compile.preflight.fitting import what_fits
from compile.preflight.report import PreflightReport, all_together, problems_alone
from compile.preflight.scenes import (
    SceneCost,
    SceneShapes,
    advice,
    scene_costs,
    scene_preflight,
)
from compile.shapes_only import build_without_values
from compile.targets.modes import Mode
from compile.weights import read
from depth.errors import InputError
from depth.family import Model, build, load_weights
from depth.network.base import Network
from depth.sizes import Size, size_text

logger = logging.getLogger(__name__)
_SMALL = 1e7  # weights: with values such a network is traced faster
INF1_TORCH = "1.13.1"  # the only one that torch-neuron for Inf1 takes


def network_for(model: Model, checkpoint: Optional[str]) -> Network:
    """A network to trace. Raises CheckpointError if a checkpoint is named and does not fit.

    A large network has no values, and takes no memory.
    """
    if checkpoint is not None:
        weights = read(model, checkpoint)
        load_weights(build(model), weights.state, weights.name)
    shapes = build_without_values(model)
    if sum(weights.numel() for weights in shapes.parameters()) > _SMALL:
        return shapes
    return build(model).eval().requires_grad_(False)


def preflight_all(
    network: Network,
    target: str,
    shapes: Sequence[tuple[tuple[int, int], int]],  # (height, width) in px, and batch
    passes: Optional[Sequence[str]],
    mode: Optional[Mode],
    on_step: Callable[[str], None],
) -> list[PreflightReport]:
    """One report per shape; the network is left at the last size. Raises what `preflight` does.

    The report of a program that does not fit says what would.
    """
    reports = []
    for size, batch in shapes:
        if batch < 1:
            raise InputError(f"batch {batch}: must be at least 1")
        on_step(f"{size_text(size)}-b{batch}: lower and trace")
        network.fix_size(*size)
        report = preflight(network, torch.zeros(batch, 3, *size), target, passes, mode)
        if not report.fits:
            advice = what_fits(network.model, report, (size, batch), passes, mode)
            report = replace(report, advice=advice)
        reports.append(report)
    return reports


def scene_reports(
    network: Network,
    target: str,
    sizes: Sequence[Size],
    shapes: SceneShapes,
    passes: Optional[Sequence[str]],
    mode: Optional[Mode],
    on_step: Callable[[str], None],
) -> tuple[list[PreflightReport], list[SceneCost]]:
    """Of a model of scenes: a report per program, and the cost of scenes per number of views.

    The network is left at the last size. Raises what `preflight` does. The last report of those
    that do not fit says what would.
    """
    reports, costs = [], []
    for size in sizes:
        network.fix_size(*size)
        found = scene_preflight(network, target, shapes, passes, mode, on_step)
        own = scene_costs(network.model, found)
        unfit = [place for place, report in enumerate(found) if not report.fits]
        if unfit:
            text = advice(network.model, target, shapes, size, passes, mode)
            found[unfit[-1]] = replace(found[unfit[-1]], advice=text)
        reports += found
        costs += own
    return reports, costs


def runnable(reports: Sequence[PreflightReport]) -> dict[str, PreflightReport]:
    """By program. Raises PreflightError if one of them would not run on the chip.

    Logs a warning if a core cannot hold all of them at a time.
    """
    problems = problems_alone(reports)
    if problems:
        raise PreflightError("; ".join(problems))
    together = all_together(reports)
    if not together.passed:  # a core can hold some of them at a time
        logger.warning("%s", together.text())
    return {report.program: report for report in reports}


def lane_remark(target: str) -> Optional[str]:
    """What to know if this torch is not the one that compiles for the target."""
    if target != "inf1" or torch_version() == INF1_TORCH:
        return None
    return (
        f"traced with torch {torch_version()}; Inf1 compiles with {INF1_TORCH}; with that, run "
        "`.venv-inf1/bin/python -m compile preflight ...` (`bash infra/setup.sh inf1` makes it)"
    )
