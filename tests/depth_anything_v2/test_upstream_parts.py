"""Encoder, decoder, blocks and transforms give the numbers of upstream's own code.

    DEPTH_ANYTHING_UPSTREAM=../Depth-Anything-V2 make test ARGS=tests/depth_anything_v2

Runs only if that variable names a checkout of DepthAnything/Depth-Anything-V2.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth_anything_v2.dpt import DepthAnythingV2
from tests.support.places import ROOT
from tests.support.upstream_v2 import answers, transforms

UPSTREAM = os.environ.get("DEPTH_ANYTHING_UPSTREAM")

pytestmark = [
    pytest.mark.skipif(not UPSTREAM, reason="DEPTH_ANYTHING_UPSTREAM names no checkout"),
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("upstream"),
]


@pytest.fixture(scope="module", params=["relative", "metric"])
def theirs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """state.pth, arrays.npz and parameters.npy."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    program = ROOT / "tests/support/upstream_v2.py"
    command = [sys.executable, str(program), str(UPSTREAM), str(folder), request.param]
    subprocess.run(command, check=True)
    return folder


def ours(theirs: Path) -> DepthAnythingV2:
    max_depth = 80.0 if theirs.name.startswith("metric") else None
    model = DepthAnythingV2("vits", 64, [48, 96, 192, 384], max_depth=max_depth)
    model.load_state_dict(torch.load(theirs / "state.pth", weights_only=True))
    return model.eval()


def arrays_of(theirs: Path) -> dict[str, Any]:
    with np.load(theirs / "arrays.npz") as file:
        return dict(file)


def test_names_and_weights_are_upstreams(theirs: Path) -> None:
    model, state = ours(theirs), torch.load(theirs / "state.pth", weights_only=True)
    found = model.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
    names = {name for name, _ in model.named_parameters()}
    assert names == set(np.load(theirs / "parameters.npy").tolist())


def test_encoder_and_head_give_upstreams_numbers(theirs: Path) -> None:
    arrays = arrays_of(theirs)
    for name, values in answers(ours(theirs)).items():
        expected = arrays[name]
        assert values.shape == expected.shape, name
        assert expected.std() > 0, name
        worst = np.abs(values.numpy() - expected).max() / np.abs(expected).max()
        assert worst <= 1e-5, (name, worst)


def test_transforms_give_upstreams_bits(theirs: Path) -> None:
    expected, found = arrays_of(theirs), dict[str, Any]()
    transforms(found)
    assert {name for name in expected if "bound" in name or "minimal" in name} == set(found)
    assert len(found) > 300
    for name, values in found.items():
        assert np.array_equal(np.asarray(values), expected[name]), name
