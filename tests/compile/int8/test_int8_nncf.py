"""Precision int8 with NNCF itself: an artifact, its identity, and serving without it."""

from __future__ import annotations

from importlib import import_module, metadata
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import openvino as ov
import pytest

from compile.errors import BuildError
from compile.int8.graph import layers_of, module_of, products, restored, with_weights
from compile.int8.images import choose
from compile.int8.layers import FLOAT_LAYERS, Quantisation, is_part
from compile.parts import parts
from compile.specialise import specialise
from compile.targets import openvino
from compile.targets.protocols import Ports
from compile.targets.table import builder, precision_here, target_named
from compile.weights import BUNDLED
from depth.artifact.manifest import Artifact
from depth.sizes import size_text
from depth.weights.checkpoint import read_checkpoint
from tests.support.compile_command import in_two_processes
from tests.support.fresh_python import run_python
from tests.support.networks import DEMO, build_demo
from tests.support.places import ROOT

SAMPLES = ROOT / "input_images"
SIZE = (84, 112)  # px; at half of it, the demo model misses its limit


def _installed() -> bool:
    try:
        return bool(metadata.version("nncf"))
    except metadata.PackageNotFoundError:
        return False


pytestmark = [
    pytest.mark.nncf,
    pytest.mark.skipif(
        not _installed(), reason="NNCF is not installed: `make setup-int8` adds it in the CPU lane"
    ),
]


def test_an_artifact_in_int8(tmp_path: Path) -> None:
    """In one test, for what it takes to make one: the same command in two processes."""
    one, other = built_twice(tmp_path)
    assert one.folder != other.folder
    assert one.identity == other.identity
    check_that_it_passed(one)
    check_what_is_in_int8(one)
    check_serving_without_nncf_and_torch(one, tmp_path)


def built_twice(out: Path) -> list[Artifact]:
    """In two processes at once: what is in this one already would count."""
    words = ["build", "--model", "demo", "--precision", "int8", "--size", size_text(SIZE)]
    words += ["--images", str(SAMPLES), "--checkpoint", str(BUNDLED)]
    words += [word for layer in FLOAT_LAYERS for word in ("--float-layers", layer)]
    ((one,), err), ((other,), other_err) = in_two_processes(
        ["-m", "compile", *words], [out / "one", out / "other"]
    )
    # Steps, and nothing of NNCF's.
    assert [len(text.splitlines()) for text in (err, other_err)] == [4, 4]
    return [one, other]


def check_that_it_passed(artifact: Artifact) -> None:
    m = artifact.manifest
    here = precision_here(target_named("openvino", "int8"), "int8")  # int8-bf16 on some CPUs
    assert (m.precision, m.gate.passed) == (here, True)
    assert m.versions["nncf"] == metadata.version("nncf")
    assert "calibration_images=3" in m.flags
    (program,) = m.programs
    assert program.measured is not None
    mean_rel = float(program.measured["depth"]["mean_rel"] or 0)
    assert 1e-4 < mean_rel < 0.01  # float32 would be nearer
    for path in (artifact.folder / "programs").iterdir():
        assert str(ROOT).encode() not in path.read_bytes()


def check_what_is_in_int8(artifact: Artifact) -> None:
    """The layers of the encoder, and no others."""
    file = artifact.manifest.programs[0].files[0]
    nodes = list(ElementTree.parse(artifact.folder / file.path).iter("layer"))
    quantisers = [node for node in nodes if node.get("type") == "FakeQuantize"]
    assert len(quantisers) == 4 * DEMO.config.depth  # qkv, proj, fc1, fc2 of every block
    weights = [node for node in nodes if node.find("data[@element_type='i8']") is not None]
    assert len(weights) == 4 * DEMO.config.depth
    assert not [node for node in quantisers if "decoder" in str(node.get("name"))]


_SERVE = """
import sys
for name in ("nncf", "torch", "compile"):
    sys.modules[name] = None
import numpy as np
import openvino as ov
from pathlib import Path
from depth.artifact.manifest import read_artifact
from serve.backend import open_runtime
artifact = read_artifact(Path({folder!r}))
runtime = open_runtime(artifact, artifact.manifest.programs)
np.save({out!r}, runtime.run({{"images": np.load({images!r})}})["depth"])
"""


def check_serving_without_nncf_and_torch(artifact: Artifact, scratch: Path) -> None:
    images = np.random.default_rng(3).standard_normal((1, 3, *SIZE), dtype=np.float32)
    given, out = scratch / "images.npy", scratch / "depth.npy"
    np.save(given, images)
    code = _SERVE.format(folder=str(artifact.folder), images=str(given), out=str(out))
    done = run_python("-W", "error", "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    files = [artifact.folder / file.path for file in artifact.manifest.programs[0].files]
    ports = Ports.of(artifact.manifest.programs[0])
    run = builder(target_named("openvino")).load(files, ports, artifact.manifest.precision)
    np.testing.assert_allclose(np.load(out), run({"images": images})["depth"], rtol=1e-4)


def test_layers_are_chosen_and_the_others_are_float_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Convolutions that save next to nothing are float, whatever the errors of the others are."""
    monkeypatch.setattr("compile.int8.choice.MAX_GROUPS", 8)
    monkeypatch.setattr("compile.int8.choice._LEAST_SHARE", 0.05)
    monkeypatch.setattr("compile.int8.choice.MARGINS", (100.0,))
    monkeypatch.setattr("compile.int8.trials.MARGINS", (100.0,))
    gate, calibration = choose(SAMPLES, 2)
    artifact = build_demo(
        tmp_path,
        precision="int8",
        checkpoint=read_checkpoint(BUNDLED),
        photographs=gate,
        quantisation=Quantisation(calibration),
        force=True,
    )
    (layers,) = (flag for flag in artifact.manifest.flags if flag.startswith("float_layers="))
    floats = layers.partition("=")[2].split(",")
    assert "encoder.patch_embed" in floats
    file = artifact.folder / artifact.manifest.programs[0].files[0].path
    graph = ov.Core().read_model(file)
    in_float = [module_of(node) for node in with_weights(graph)]
    assert in_float
    assert all(is_part(name, floats) for name in in_float)
    # In int8 a multiply brings the weights back to their size.
    in_int8 = [
        module_of(node)
        for node in products(graph)
        if node.input_value(1).get_node().get_type_name() == "Multiply"
    ]
    assert "encoder.blocks.0.mlp.fc1" in in_int8
    assert not any(is_part(name, floats) for name in in_int8)


def test_a_graph_whose_layers_are_all_restored_gives_the_same_numbers() -> None:
    size = (28, 42)
    (part,) = parts(specialise(DEMO, read_checkpoint(BUNDLED), size), 1)
    images = np.random.default_rng(0).standard_normal((1, 3, *size), dtype=np.float32)
    quantised = import_module("compile.int8.nncf").quantised
    with openvino.converted(part) as graph:
        changed = quantised(graph, lambda: [{"images": images}], ())
        back = restored(changed, graph, [layer.name for layer in layers_of(graph)])
        before, lossy, after = (
            openvino.load_graph(one, part.ports, "fp32")({"images": images})["depth"]
            for one in (graph, changed, back)
        )
    assert np.array_equal(before, after)
    assert not np.allclose(before, lossy, rtol=1e-4)


class OneLayer:
    """Looks like a graph of one layer, and is none."""

    def get_ordered_ops(self) -> list[OneLayer]:
        return [self]

    def get_type_name(self) -> str:
        return "MatMul"

    def get_friendly_name(self) -> str:
        return "/encoder/blocks.0/mlp/fc1/MatMul"

    def input_value(self, _: int) -> SimpleNamespace:
        return SimpleNamespace(get_node=lambda: SimpleNamespace(get_type_name=lambda: "Constant"))


def test_what_nncf_raises_becomes_an_error_of_ours() -> None:
    quantised = import_module("compile.int8.nncf").quantised
    images = [np.zeros((1, 3, 14, 14), np.float32)]
    with pytest.raises(BuildError, match="NNCF could not quantise the network: .*precision fp32"):
        quantised(OneLayer(), lambda: images, ())
