"""Stands in for what a calibrated precision is made with: notes what it gets, changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from compile.targets.protocols import Inputs, Limit
from compile.targets.table import TARGETS, Calibrated
from depth.maps.result import FloatArray


@dataclass(frozen=True)
class Call:
    inputs: list[dict[str, FloatArray]]  # by name, a batch each
    float_layers: tuple[str, ...]


calls: list[Call] = []
LIMIT = Limit(0.1, 0.05, 0.1, 0.05)  # a CPU with bf16 runs bf16 in the place of int8


def flags() -> tuple[str, ...]:
    return ("standin=1",)


def quantised(graph: Any, inputs: Inputs, float_layers: Sequence[str]) -> Any:
    calls.append(Call(list(inputs()), tuple(float_layers)))
    return graph


def install(patch: pytest.MonkeyPatch, package: str = "numpy", limit: Limit = LIMIT) -> list[Call]:
    """Make int8 of openvino with it; `package` is what it says it needs."""
    calls.clear()
    row = TARGETS["openvino"]
    calibrated = dict.fromkeys(row.calibrated, Calibrated(__name__, package))
    limits = {**row.limits, **dict.fromkeys(row.calibrated, limit)}
    patch.setattr("compile.int8.choice.MAX_GROUPS", 2)  # trials: encoder and decoder
    patch.setitem(TARGETS, "openvino", replace(row, calibrated=calibrated, limits=limits))
    return calls


def pictures(folder: Path, names: Sequence[str], seed: int = 0) -> Path:
    """A folder of small images, each of noise around a brightness of its own."""
    rng = np.random.default_rng(seed)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.normal(rng.uniform(60, 200), 30, (40, 50, 3)).clip(0, 255).astype(np.uint8)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return folder
