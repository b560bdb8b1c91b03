"""midas-small goes the whole way on every CPU target: built, proven, served, from Python too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from compile.build.request import Request
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import read_artifact
from depth_anything.model_pipeline import DepthPipeline
from midas.config import SMALL_MODEL
from tests.support.fresh_python import run_python
from tests.support.hostile import picture
from tests.support.midas import published_state
from tests.support.whole_way import built_and_served

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.mark.parametrize("target", ["openvino", "onnx", "torchscript"])
def test_it_is_built_proven_and_served(target: str, tmp_path: Path) -> None:
    sizes = [(64, 96), (96, 96)]
    request = Request(SMALL_MODEL, untrained_checkpoint(SMALL_MODEL), target, "fp32", sizes, (1, 2))
    manifest = built_and_served(request, tmp_path, 2e-5, (150, 200))
    assert (manifest.size.bound, manifest.size.multiple_px) == ("upper", 32)
    found = json.loads((tmp_path / "depth/a.json").read_text())
    assert found["provenance"]["model"] == "midas-small"


def test_a_file_as_upstream_saves_it_runs_by_the_models_name(tmp_path: Path) -> None:
    state = published_state()
    generator = torch.Generator().manual_seed(0)
    for name, values in state.items():
        if values.dtype == torch.float32:
            drawn = torch.randn(values.shape, generator=generator) * 0.05
            state[name] = drawn.abs() + 1 if "running_var" in name else drawn
    state["scratch.output_conv.4.bias"] = torch.ones(1)
    file = tmp_path / "midas_v21_small_256.pt"
    torch.save(state, file)
    folder = tmp_path / "artifacts"
    with DepthPipeline(
        "midas-small", checkpoint=file, input_size=64, folder=folder, calibration=tmp_path
    ) as depth:
        result = depth(np.asarray(picture(90, 120)))
    assert result.depth.kind == "relative_inverse"
    assert result.depth.values.shape == (90, 120)
    (made,) = folder.iterdir()
    assert [key.size for key in read_artifact(made).manifest.keys] == [(64, 64)]


def test_importing_the_rows_loads_no_torch() -> None:
    done = run_python(
        "-c", "import sys, midas.config, midas.published; print('torch' in sys.modules)"
    )
    assert done.stdout.strip() == "False"
