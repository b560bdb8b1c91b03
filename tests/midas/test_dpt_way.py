"""DPT goes the whole way on every CPU target: built, proven and served; tiny networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compile.build.build import build
from compile.build.request import Request
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import read_artifact
from depth.maps.files import read_depth
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.library import Library
from tests.support.hostile import picture
from tests.support.midas import TINY_DPT


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", ["openvino", "onnx", "torchscript"])
@pytest.mark.parametrize("name", list(TINY_DPT))
def test_it_is_built_proven_and_served(name: str, target: str, tmp_path: Path) -> None:
    model = TINY_DPT[name]
    sizes = [(64, 96), (64, 64)]
    request = Request(model, untrained_checkpoint(model), target, "fp32", sizes, (1,))
    artifact = read_artifact(build(request, tmp_path / "artifacts"))
    manifest = artifact.manifest
    assert (manifest.size.bound, manifest.size.multiple_px) == ("minimal", 32)
    assert manifest.gate.passed
    for program in manifest.programs:
        assert program.measured is not None
        assert 0 <= float(program.measured["depth"]["max_rel"] or 0) < 5e-5
    photos, out = tmp_path / "photos", tmp_path / "depth"
    photos.mkdir()
    picture(60, 90).save(photos / "a.png")
    with Engine(Library([artifact]), "buckets") as engine:
        job = FolderJob(input=photos, output=out, formats=("npy",))
        assert run_folder(engine, job).exit_code == 0
    depth = read_depth(out / "a.json").maps["depth"]
    assert depth.kind == "relative_inverse"
    assert depth.values.shape == (60, 90)
    assert np.ptp(depth.values) > 0
