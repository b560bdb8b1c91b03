"""Depth Anything 3's own code gives the same inputs, depth and sky, with equal random weights.

    DEPTH_ANYTHING_3_UPSTREAM=../Depth-Anything-3 make test ARGS=tests/depth_anything_3

Runs for minutes, and only if that variable names a checkout of ByteDance-Seed/Depth-Anything-3
whose packages import. `--log-cli-level=INFO` shows the differences. Upstream runs in a
process of its own, as its package has the same name as ours, and without autocast, which on a CPU
would compute in half precision.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from depth.family import build, load_weights
from depth_anything_3.api import DepthAnything3
from depth_anything_3.inputs import network_inputs
from depth_anything_3.mono.config import MONO_MODELS
from tests.support.places import ROOT
from tests.support.upstream_checkouts import NEEDS_UPSTREAM, UPSTREAM, require_imports

logger = logging.getLogger(__name__)

PROGRAM = ROOT / "tests/support/upstream_da3.py"
IMAGE_SIZES = [
    (37, 53), (504, 301), (1363, 2047), (505, 503), (721, 1281), (90, 1001), (999, 333), (600, 504)
]  # fmt: skip
SIZES = [(518, 518), (336, 504)]  # (height, width) px; the second is off the native grid
METHODS = ("upper_bound_resize", "lower_bound_resize", "upper_bound_crop", "lower_bound_crop")


def run_upstream(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), UPSTREAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


pytestmark = NEEDS_UPSTREAM


@pytest.fixture(scope="module", autouse=True)
def importable() -> None:
    require_imports()


def noise(height: int, width: int) -> np.ndarray:  # type: ignore[type-arg]
    """Smooth enough to be a picture, with edges."""
    rng = np.random.default_rng(height * width)
    coarse = rng.integers(0, 256, (height // 9 + 1, width // 9 + 1, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((9, 9, 1), np.uint8))[:height, :width]


@pytest.mark.parametrize("process_res", [504, 500])
@pytest.mark.parametrize("method", METHODS)
def test_inputs_are_equal(method: str, process_res: int, tmp_path: Path) -> None:
    images = [noise(*size) for size in IMAGE_SIZES]
    if method.startswith("lower"):  # upstream has no limit, ours has
        images = [image for image in images if max(image.shape[:2]) < 4 * min(image.shape[:2])]
    np.savez(tmp_path / "images.npz", *images)
    done = run_upstream("inputs", str(tmp_path), method, str(process_res))
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "inputs.npz") as theirs:
        for index, image in enumerate(images):
            expected = theirs[f"arr_{index}"]
            found = network_inputs([image], process_res, method)
            assert found.shape == expected.shape, image.shape
            assert np.array_equal(found, expected), image.shape


@pytest.mark.parametrize("name", MONO_MODELS)
def test_depth_and_sky_are_equal(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    inputs = {
        f"{height}x{width}": rng.standard_normal((1, 3, height, width)).astype(np.float32)
        for height, width in SIZES
    }
    np.savez(tmp_path / "inputs.npz", **inputs)
    done = run_upstream("network", str(tmp_path), name)
    assert done.returncode == 0, done.stderr[-2000:]
    state = load_file(tmp_path / "weights.safetensors")
    network = build(MONO_MODELS[name])
    load_weights(network, state, "upstream's")
    network.eval()
    with np.load(tmp_path / "maps.npz") as theirs, torch.no_grad():
        for size, images in inputs.items():
            for output, found in zip(("depth", "sky"), network(torch.from_numpy(images))):
                expected = theirs[f"{size}-{output}"]
                assert expected.std() > 0.01 * np.abs(expected).max()
                error = np.abs(found.numpy() - expected).max() / np.abs(expected).max()
                logger.info("%s %s %s: %.2e of the largest value", name, size, output, error)
                assert error <= 1e-5, (size, output)


def test_inference_is_equal(tmp_path: Path) -> None:
    """The whole call, the sky put far: few enough pixels that upstream draws none at random."""
    images = [noise(61, 83), noise(122, 166)]
    np.savez(tmp_path / "images.npz", *images)
    done = run_upstream("inference", str(tmp_path), "da3metric-large", "224")
    assert done.returncode == 0, done.stderr[-2000:]
    model = DepthAnything3("da3metric-large")
    model.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    found = model.inference(images, process_res=224)
    with np.load(tmp_path / "prediction.npz") as theirs:
        expected = theirs["depth"]
        assert found.depth.shape == expected.shape
        error = np.abs(found.depth - expected).max() / expected.max()
        logger.info("inference: %.2e of the largest value", error)
        assert error <= 1e-5
        assert found.sky is not None
        assert (found.sky != theirs["sky"]).mean() < 1e-3
        assert np.array_equal(found.processed_images, theirs["processed_images"])
        assert found.sky.any()
        assert not found.sky.all()
