"""Presets written for the tools they are for, and read back by the tools' own code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.family import METRES, SKY
from depth.maps.result import FloatArray, Map, Result
from depth.presets.files import save_result
from depth.presets.shot import Shot
from depth.steps.focal import FocalAsked
from tests.support.depth_samples import ramp, result
from tests.support.places import ROOT

UPSTREAM = "CONSUMERS_UPSTREAM"
HEIGHT, WIDTH = 30, 41  # odd and even, so that rows and columns show
FOCAL = 32.5
PIXELS = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
SHOT = Shot(FocalAsked(focal_px=FOCAL), image_size=(HEIGHT, WIDTH), pixels=PIXELS)


def needs(variable: str) -> Any:
    """Skips the test, with the reason, unless the variable names a place."""
    return pytest.mark.skipif(
        not os.environ.get(variable), reason=f"{variable} names no place with the tool's reader"
    )


def needs_checkout(name: str) -> Any:
    """Skips the test, with the reason, unless CONSUMERS_UPSTREAM has this folder."""
    place = os.environ.get(UPSTREAM, "")
    found = bool(place) and Path(place, name).exists()
    return pytest.mark.skipif(not found, reason=f"{UPSTREAM} names no folder that has {name}/")


def metres() -> Result:
    """0.25 to 9.5 m, with sky in the first row and a hole in the second."""
    values = ramp(HEIGHT, WIDTH)
    values[1, 1] = 0
    sky = Map(np.zeros((HEIGHT, WIDTH), np.float32), SKY)
    sky.values[0] = 1
    found = result(values, METRES, None)
    return replace(found, maps={**found.maps, SKY: sky})


def seen(values: FloatArray) -> FloatArray:
    """What a reader of distances gets: 0 for sky and hole."""
    kept = values.copy()
    kept[0] = 0
    return kept


def written(
    folder: Path, preset: str, found: Result, name: str = "b", shot: Shot = SHOT
) -> list[Path]:
    return save_result(found, folder / name, (), {}, preset=preset, shot=shot)


def read_by(reader: str, file: Path, variable: str = UPSTREAM) -> Mapping[str, Any]:
    """What the tool's own reader gives, in a process where it finds no package of ours.

    reader  a function in tests/support/readers: `pictures.midas`
    """
    place = os.environ[variable].split(os.pathsep)[0]
    out = file.parent / "read.npz"
    command = [sys.executable, "-m", "tests.support.readers", *reader.split("."), place]
    # Open3D brings the numpy it was built for, which has to be found before ours.
    surroundings = {**os.environ, "PYTHONPATH": place if reader == "robots.open3d" else ""}
    done = subprocess.run(
        [*command, str(file), str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=surroundings,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as found:
        return dict(found)


def error_of(what: str, read: FloatArray, expected: FloatArray) -> float:
    """The largest difference, which is printed too."""
    assert read.shape == expected.shape
    worst = float(np.abs(read.astype(np.float64) - expected).max())
    sys.stdout.write(f"{what}: largest error {worst:.3g}\n")
    return worst
