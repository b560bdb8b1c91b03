"""ONNX programs whose weights are too large for one file: they are in a second file beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compile.build.build import build
from compile.build.request import Request
from compile.targets import onnx as target
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.probe import probe_inputs
from depth.errors import ArtifactError
from serve.backend import open_runtime
from serve.runtimes.openvino import ov
from tests.support.da3_views import SIZE, TINY_MODEL


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    pytest.importorskip("onnx")
    monkeypatch.setattr(target, "_MOST_BYTES", 100_000)  # the camera encoder is smaller, and head
    weights = untrained_checkpoint(TINY_MODEL)
    request = Request(TINY_MODEL, weights, "onnx", "fp32", [SIZE], views=(2,))
    return read_artifact(build(request, tmp_path))


def test_weights_beside_the_graph(large: Artifact) -> None:
    m = large.manifest
    assert m.gate.passed  # the gate loaded both files
    files = {program.stage: [Path(f.path).name for f in program.files] for program in m.programs}
    assert files["trunk"] == ["56x84-s2-b1-trunk.onnx", "56x84-s2-b1-trunk.onnx.data"]
    left = {path.name for path in (large.folder / "programs").iterdir()}
    assert left == {name for names in files.values() for name in names}
    (trunk,) = (program for program in m.programs if program.stage == "trunk")
    graph, weights = (file.size_bytes for file in trunk.files)
    assert graph < weights
    # Serving reads both, and OpenVINO's reader of ONNX too, by which that target is made.
    inputs = probe_inputs(m, trunk)
    found = open_runtime(large, (trunk,), 1).run(inputs)
    model = ov.Core().read_model(large.folder / trunk.files[0].path)
    theirs = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(inputs)
    for name, array in found.items():
        assert array.shape == trunk.shapes(trunk.outputs)[name]
        assert np.allclose(array, theirs[name], atol=1e-4 * np.abs(array).max())


def test_weights_that_were_altered_are_refused(large: Artifact) -> None:
    (trunk,) = (program for program in large.manifest.programs if program.stage == "trunk")
    path = large.folder / trunk.files[1].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match="damaged or altered"):
        open_runtime(large, (trunk,), 1)
