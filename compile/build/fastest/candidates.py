"""Precisions of a target that this CPU can run, and reasons why others are left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from compile.targets.protocols import QuantisingBuilder
from compile.targets.table import Target, builder, calibration_versions, precision_here
from depth.cpu import read_cpu


def candidates(target: Target) -> Iterator[tuple[str, str]]:
    """Each precision and "", or why it is left out. The simplest first.

    Of the calibrated precisions, only that with the fastest float arithmetic of this CPU.
    """
    for precision in target.limits:
        if precision not in target.calibrated or precision == _calibrated_here(target):
            yield precision, _left_out(target, precision)


def _calibrated_here(target: Target) -> str:
    return precision_here(target, next(iter(target.calibrated)))


def _left_out(target: Target, precision: str) -> str:
    calibrated = target.calibrated.get(precision)
    if calibrated:
        if not read_cpu().fast_int8:
            return "this CPU multiplies 8-bit numbers no faster than float32: no VNNI, no AMX"
        if not calibration_versions(target, precision):
            return f"{calibrated.package} is not installed: `make setup-int8` adds it"
        return ""
    # A target with a single precision has nothing to ask for.
    if len(target.limits) > 1 and not _native(target, precision):
        return f"this CPU has no {precision}"
    return ""


def _native(target: Target, precision: str) -> bool:
    return cast(QuantisingBuilder, builder(target)).runs_natively(precision)
