"""Upstream's own code gives the same numbers on equal drawn weights, and the same network input.

    MIDAS_UPSTREAM=MiDaS:gen-efficientnet-pytorch:timm make test ARGS=tests/midas

Runs only if that variable names these three folders, with colons between them: a checkout of
isl-org/MiDaS, a checkout of rwightman/gen-efficientnet-pytorch, and a folder with timm 0.6.12.
`--log-cli-level=INFO` shows how large the differences are.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from depth.family import Model, build, load_weights, model_named
from depth.preprocess import Preparation
from depth.weights.checkpoint import read_checkpoint
from midas import dpt_depth
from midas.config import DPT_MODELS, SMALL_MODEL
from midas.dpt_depth import DPTDepthModel
from tests.support.places import ROOT

logger = logging.getLogger(__name__)
UPSTREAM = os.environ.get("MIDAS_UPSTREAM", "")

pytestmark = [
    pytest.mark.skipif(not UPSTREAM, reason="MIDAS_UPSTREAM names no checkout"),
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("upstream"),
]


def run_upstream(out: Path, *arguments: str) -> None:
    program = ROOT / "tests/support/upstream_midas.py"
    subprocess.run([sys.executable, str(program), UPSTREAM, str(out), *arguments], check=True)


def worst_difference(model: Model, out: Path, sizes: list[str]) -> float:
    """Of the largest depth, with upstream's drawn weights."""
    run_upstream(out, "network", model.name, "0", *sizes)
    network = build(model).eval()
    load_weights(network, read_checkpoint(out / "weights.pt").state, "upstream's")
    worst = 0.0
    for size in sizes:
        with np.load(out / f"{size}.npz") as file:
            images, expected = file["images"], file["depth"]
        with torch.no_grad():
            found = network(torch.from_numpy(images)).numpy()
        assert found.shape == expected.shape
        assert np.ptp(expected) > 0.02 * expected.max()
        worst = max(worst, float(np.abs(found - expected).max() / expected.max()))
    logger.info("%s: differs by %.2e of the largest value", model.name, worst)
    return worst


def test_midas_small_gives_the_same_numbers(tmp_path: Path) -> None:
    assert worst_difference(SMALL_MODEL, tmp_path, ["256x256", "160x256", "256x96"]) <= 1e-6


@pytest.mark.parametrize("backbone", ["vitb_rn50_384", "vitl16_384"])
def test_dpt_gives_the_same_numbers_also_under_upstreams_names(
    backbone: str, tmp_path: Path
) -> None:
    sizes = ["384x384", "384x512", "384x672", "672x384"]
    model = model_named(dpt_depth.BACKBONES[backbone].name)
    assert worst_difference(model, tmp_path, sizes) <= 1e-6
    dropped_in = DPTDepthModel(str(tmp_path / "weights.pt"), True, backbone=backbone).eval()
    with np.load(tmp_path / "384x384.npz") as file, torch.no_grad():
        found = dropped_in(torch.from_numpy(file["images"])).numpy()
        assert np.abs(found - file["depth"]).max() <= 1e-6 * file["depth"].max()


@pytest.mark.parametrize(
    ("name", "model"),
    [("small_transform", SMALL_MODEL), ("dpt_transform", DPT_MODELS[0])],
    ids=["small", "dpt"],
)
def test_the_transform_gives_the_same_input(name: str, model: Model, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    sizes = [(480, 640), (101, 333), (333, 101), (37, 53), (256, 256), (700, 701), (384, 90)]
    files = [tmp_path / f"{height}x{width}.npy" for height, width in sizes]
    images = [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    for file, image in zip(files, images):
        np.save(file, image)
    (tmp_path / "made").mkdir()
    run_upstream(tmp_path / "made", "transform", name, *map(str, files))
    prepare = Preparation(model.before, model.size)
    for file, image in zip(files, images):
        expected = np.load(tmp_path / "made" / file.name)
        bgr = np.ascontiguousarray(image[:, :, ::-1])
        found = prepare(bgr, model.size.size_for(*image.shape[:2]))[0]
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-6
