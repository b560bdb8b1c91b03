"""Small real artifacts for the tests of serve/, each built once per test run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from compile.build.build import build
from compile.build.request import Request
from compile.targets import openvino
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact, read_artifact
from depth_anything_v2.config import MODELS

DEMO = MODELS["demo"]
SIZES = ((56, 70), (70, 56))  # small enough to build in a second


def needs_arithmetic(precision: str) -> None:
    """Skips the test if this CPU cannot prove anything about the precision."""
    if not openvino.runs_natively(precision):
        pytest.skip(f"this CPU has no {precision}")


def make_artifact(
    out: Path,
    target: str = "openvino",
    precision: str = "fp32",
    sizes: Sequence[tuple[int, int]] = SIZES,
    seed: int = 0,
) -> Artifact:
    """An artifact of the demo network with fixed-seed weights: a copy, free to be damaged."""
    needs_arithmetic(precision)
    folder = _built(target, precision, tuple(sizes), seed)
    return read_artifact(Path(shutil.copytree(folder, out / folder.name)))


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="programs-")


@cache
def _built(target: str, precision: str, sizes: tuple[tuple[int, int], ...], seed: int) -> Path:
    checkpoint = untrained_checkpoint(DEMO, seed)
    # Forced: rounding errors of weights that were never trained say nothing about bf16.
    request = Request(DEMO, checkpoint, target, precision, sizes, force=precision == "bf16")
    return build(request, Path(_scratch().name))
