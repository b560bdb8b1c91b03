"""Every CPU runtime against the eager network, through the same artifact that a user serves."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compile.specialise import specialise
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.errors import ArtifactError
from depth.maps.result import FloatArray
from serve.backend import open_runtime
from serve.errors import ProgramError
from tests.support.fresh_python import run_python
from tests.support.places import ROOT
from tests.support.programs import DEMO, make_artifact


def noise(program: Program, seed: int = 0) -> dict[str, FloatArray]:
    shape = program.inputs[0].shape(program.shape)
    return {"images": np.random.default_rng(seed).normal(size=shape).astype(np.float32)}


TARGETS = [("openvino", "fp32"), ("openvino", "bf16"), ("onnx", "fp32"), ("torchscript", "fp32")]


@pytest.fixture(scope="module", params=TARGETS, ids=lambda pair: "-".join(pair))
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    target, precision = request.param
    return make_artifact(tmp_path_factory.mktemp(target), target, precision)


def test_a_runtime_gives_the_eager_network_s_numbers(artifact: Artifact) -> None:
    program = artifact.manifest.programs[0]
    images = noise(program)
    network = specialise(DEMO, untrained_checkpoint(DEMO), program.size)
    with torch.no_grad():
        expected = network(torch.from_numpy(images["images"])).numpy()
    found = open_runtime(artifact, (program,)).run(images)["depth"]
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error <= (0.1 if artifact.manifest.precision == "bf16" else 1e-4)


def test_runs_side_by_side_give_each_its_own_result(artifact: Artifact) -> None:
    program = artifact.manifest.programs[0]
    runtime = open_runtime(artifact, (program,), streams=2)
    many = [noise(program, seed) for seed in range(6)]
    alone = [runtime.run(images)["depth"] for images in many]
    with ThreadPoolExecutor(3) as pool:
        beside = [found["depth"] for found in pool.map(runtime.run, many)]
    # Not bit for bit: torch optimises a program after its first runs, which rounds otherwise.
    for one, other in zip(alone, beside):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(one).max()
    assert np.abs(alone[0] - alone[1]).max() > 1e-3 * np.abs(alone[0]).max()


def test_files_that_are_altered_once_loaded_change_nothing(
    artifact: Artifact, tmp_path: Path
) -> None:
    m = artifact.manifest
    copy = make_artifact(tmp_path, m.target, m.precision)
    program = copy.manifest.programs[0]
    images = noise(program)
    runtime = open_runtime(copy, (program,))
    before = runtime.run(images)["depth"]
    for file in program.files:
        with (copy.folder / file.path).open("r+b") as opened:
            opened.write(bytes(file.size_bytes))
    assert np.abs(runtime.run(images)["depth"] - before).max() <= 1e-5 * np.abs(before).max()


def test_a_wrong_shape_is_our_error(artifact: Artifact) -> None:
    runtime = open_runtime(artifact, artifact.manifest.programs[:1])
    with pytest.raises(ProgramError, match=artifact.folder.name):
        runtime.run({"images": np.zeros((1, 3, 28, 28), np.float32)})


def test_altered_bytes_are_never_loaded(artifact: Artifact, tmp_path: Path) -> None:
    program = artifact.manifest.programs[0]
    copy = tmp_path / artifact.folder.name
    (copy / "programs").mkdir(parents=True)
    for file in program.files:
        data = bytearray((artifact.folder / file.path).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / file.path).write_bytes(data)
    with pytest.raises(ArtifactError, match="sha256"):
        open_runtime(replace(artifact, folder=copy), (program,))


def test_an_unknown_target_lists_what_there_is(artifact: Artifact) -> None:
    other = replace(artifact, manifest=replace(artifact.manifest, target="abacus"))
    with pytest.raises(ProgramError, match="openvino, onnx, torchscript"):
        open_runtime(other, artifact.manifest.programs[:1])


@pytest.mark.parametrize("target", ["openvino", "onnx"])
def test_torch_is_never_imported(target: str, tmp_path: Path) -> None:
    folder = make_artifact(tmp_path, target).folder
    code = (
        "import sys, numpy as np; from pathlib import Path;"
        "from depth.artifact.manifest import read_artifact;"
        "from serve.backend import open_runtime;"
        f"artifact = read_artifact(Path({str(folder)!r}));"
        "program = artifact.manifest.programs[0];"
        "images = np.zeros((1, 3, *program.size), np.float32);"
        "open_runtime(artifact, (program,)).run({'images': images});"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


_CONVERTER = """
import sys
import serve.runtimes.openvino
import openvino
assert "openvino.tools.ovc" not in sys.modules
try:
    openvino.convert_model("nothing.onnx")
except Exception as error:
    print(type(error).__name__)
assert openvino.convert_model is sys.modules["openvino.tools.ovc"].convert_model
"""


def test_openvino_s_converter_is_imported_when_it_is_called() -> None:
    done = run_python("-c", _CONVERTER)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() != ""
