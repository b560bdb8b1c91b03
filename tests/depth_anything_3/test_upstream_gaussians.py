"""Depth Anything 3's own code gives the same Gaussians, with equal random weights.

    DEPTH_ANYTHING_3_UPSTREAM=../Depth-Anything-3 make test ARGS=tests/depth_anything_3

As test_upstream.py, with a small decoder. `--log-cli-level=INFO` shows the differences.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file

from depth.steps.cameras import Cameras
from depth.steps.gaussians import CHANNELS, Gaussians, gaussians_of, pose_scale
from depth_anything_3.anyview.gaussians import GaussianDecoder, GaussianStage
from depth_anything_3.anyview.layouts import to_ours
from tests.support.da3_views import TINY, ring
from tests.support.places import ROOT
from tests.support.upstream_checkouts import NEEDS_UPSTREAM, UPSTREAM, require_imports

logger = logging.getLogger(__name__)

PROGRAM = ROOT / "tests/support/upstream_da3_gaussians.py"
LIMIT = 1e-4  # of the largest value
VIEWS, SIZE, GRID = 4, (56, 84), (4, 6)
CONFIG = replace(TINY, decoder_dim=32, gaussians=True)
PARTS = ("means", "scales", "rotations", "harmonics", "opacities")

Arrays = dict[str, npt.NDArray[Any]]

pytestmark = NEEDS_UPSTREAM


@pytest.fixture(scope="module", autouse=True)
def importable() -> None:
    require_imports()


def inputs() -> Arrays:
    rng = np.random.default_rng(0)
    placed, lenses = ring(VIEWS, SIZE)
    given = placed.copy()
    given[:, :3, 3] *= 1.7
    drawn = {
        "images": (VIEWS, 3, *SIZE),
        "features": (VIEWS, GRID[0] * GRID[1], 4 * 2 * CONFIG.embed_dim),
        "numbers": (VIEWS, *SIZE, CHANNELS),
    }
    found = {name: rng.standard_normal(shape, np.float32) for name, shape in drawn.items()}
    found["depth"] = rng.uniform(2, 9, (VIEWS, *SIZE)).astype(np.float32)
    found["opacities"] = rng.uniform(0, 1, (VIEWS, *SIZE)).astype(np.float32)
    return {**found, "extrinsics": placed[:, :3], "intrinsics": lenses, "given": given}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gaussians")
    np.savez(made / "inputs.npz", **inputs())
    words = [sys.executable, str(PROGRAM), UPSTREAM, str(made)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Arrays:
    with np.load(folder / "found.npz") as found:
        return dict(found)


def error(name: str, found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    off = float(np.abs(found - expected).max() / np.abs(expected).max())
    logger.info("%s: %.1e", name, off)
    return off


def test_the_decoder_is_equal(folder: Path, theirs: Arrays) -> None:
    decoder = GaussianDecoder(CONFIG)
    whole = {"model.head.norm.bias": torch.zeros(1), "model.cam_dec.fc_t.bias": torch.zeros(1)}
    ours = to_ours({**load_file(folder / "gs_head.safetensors"), **whole})
    start = "gaussians."
    state = {name[len(start) :]: v for name, v in ours.items() if name.startswith(start)}
    decoder.load_state_dict(state)
    given = {name: torch.from_numpy(value) for name, value in inputs().items()}
    with torch.no_grad():
        found = GaussianStage(decoder, GRID, SIZE)(given["features"], given["images"])
        for name, value in zip(("raw", "opacity"), found):
            assert error(name, value.numpy(), theirs[name]) <= LIMIT
        decoder.picture[1].bias += 0.1  # a damaged weight is seen
        damaged = GaussianStage(decoder, GRID, SIZE)(given["features"], given["images"])
        assert error("damaged", damaged[0].numpy(), theirs["raw"]) > LIMIT


def made(name: str) -> Gaussians:
    given = inputs()
    cameras = Cameras(given["extrinsics"], given["intrinsics"])
    scale = pose_scale(given["extrinsics"], given["given"][:, :3]) if name == "given" else 1.0
    return gaussians_of(given["numbers"], given["opacities"], given["depth"], cameras, scale)


@pytest.mark.parametrize("name", ["own", "given"])
def test_gaussians_of_equal_numbers_are_equal(name: str, theirs: Arrays) -> None:
    found = made(name)
    for part in PARTS:
        value, expected = getattr(found, part), theirs[f"{name}-{part}"]
        if part == "rotations":  # a quaternion and its negative are one rotation
            expected = expected * np.where((value * expected).sum(axis=1) < 0, -1, 1)[:, np.newaxis]
            expected = expected.astype(np.float32)
            turned = (theirs[f"{name}-{part}"] * expected).sum(axis=1) < 0
            assert (np.abs(expected[turned, 3]) < LIMIT).all()
        assert error(f"{name} {part}", value, expected) <= LIMIT
    assert error("colours", made("own").harmonics[::-1], theirs["own-harmonics"]) > LIMIT
