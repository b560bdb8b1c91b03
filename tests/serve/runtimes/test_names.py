"""CPU runtimes by the names of their tensors, over graphs of a few operators made here."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depth.artifact.manifest import Artifact, dump_manifest, read_artifact
from depth.artifact.program import Program, ProgramFile, ProgramKey, Tensor
from depth.files import sha256_bytes
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.backend import open_runtime
from serve.errors import Action, ProgramError
from tests.support.manifests import DEPTH, IMAGES, SKY, made_program, sky_manifest

KEY = ProgramKey(28, 42, 2)
TARGETS = ["openvino", "onnx", "torchscript"]
SUMS = Tensor("sums", "BHW", "float32")
Files = dict[str, Sequence[bytes]]  # by program name


def depth_of(images: FloatArray) -> FloatArray:
    return images.sum(axis=1)


def sky_of(images: FloatArray) -> FloatArray:
    return images.max(axis=1)


def openvino_files(inputs: Sequence[str], outputs: Sequence[str], folder: Path) -> list[bytes]:
    """`images` to depth and sky, or `sums` to depth."""
    ov = pytest.importorskip("openvino")
    from openvino import opset8 as op

    sizes = {"images": [2, 3, 28, 42], "sums": [2, 28, 42]}
    (name,) = inputs
    given = op.parameter(sizes.get(name, sizes["images"]), np.float32, name=name)
    given.output(0).get_tensor().set_names({name})
    made = {
        "depth": given if name == "sums" else op.reduce_sum(given, op.constant([1]), False),
        "sums": given if name == "sums" else op.reduce_sum(given, op.constant([1]), False),
        "sky": given if name == "sums" else op.reduce_max(given, op.constant([1]), False),
    }
    results = []
    for output in outputs:
        # Of its own, or one name would be another's too.
        node = op.add(made.get(output, made["depth"]), op.constant(np.float32(0)))
        node.output(0).get_tensor().set_names({output})
        results.append(op.result(node))
    path = folder / "model.xml"
    ov.save_model(ov.Model(results, [given]), str(path), compress_to_fp16=False)
    return [path.read_bytes(), path.with_suffix(".bin").read_bytes()]


def onnx_files(inputs: Sequence[str], outputs: Sequence[str], _folder: Path) -> list[bytes]:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    (name,) = inputs
    whole, flat = [2, 3, 28, 42], [2, 28, 42]
    given = helper.make_tensor_value_info(name, kind, flat if name == "sums" else whole)
    results = [helper.make_tensor_value_info(output, kind, flat) for output in outputs]
    nodes = [
        helper.make_node("Identity", [name], [output])
        if name == "sums"
        else helper.make_node("ReduceMax", [name], [output], axes=[1], keepdims=0)
        if output == "sky"
        else helper.make_node("ReduceSum", [name, "one"], [output], keepdims=0)
        for output in outputs
    ]
    one = helper.make_tensor("one", onnx.TensorProto.INT64, [1], [1])
    graph = helper.make_graph(nodes, "small", [given], results, [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return [model.SerializeToString()]


def torchscript_files(inputs: Sequence[str], outputs: Sequence[str], _folder: Path) -> list[bytes]:
    torch = pytest.importorskip("torch")
    (name,) = inputs

    class Small(torch.nn.Module):
        def forward(self, given):  # type: ignore[no-untyped-def]
            found = tuple(
                given + 0 if name == "sums" else given.amax(1) if output == "sky" else given.sum(1)
                for output in outputs
            )
            return found if len(found) > 1 else found[0]

    example = torch.zeros(2, 28, 42) if name == "sums" else torch.zeros(2, 3, 28, 42)
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(Small(), example), stream)
    return [stream.getvalue()]


MAKERS = {"openvino": openvino_files, "onnx": onnx_files, "torchscript": torchscript_files}


MEASURED = dict.fromkeys(("depth", "sky"), {"max_rel": 1e-5, "mean_rel": 1e-6})  # of the chain


def artifact(
    folder: Path,
    target: str,
    *programs: Program,
    inside: Sequence[Sequence[str]] = (),
    outputs: int = 2,
) -> Artifact:
    """Of these programs, whose files hold graphs with their names; or with those of `inside`."""
    made = []
    for number, program in enumerate(programs):
        inputs = [tensor.name for tensor in program.inputs]
        scratch = folder / f"scratch {number}"
        scratch.mkdir(parents=True)
        names = inside or [tensor.name for tensor in program.outputs]
        data = MAKERS[target](inputs, names, scratch)  # type: ignore[arg-type]
        files = []
        for place, content in enumerate(data):
            path = f"{program.name}.{place}"
            (folder / path).write_bytes(content)
            files.append(ProgramFile(path, sha256_bytes(content), len(content)))
        made.append(replace(program, files=tuple(files), measured=MEASURED))
    manifest = sky_manifest([KEY], target=target, programs=tuple(made))
    manifest = replace(manifest, outputs=manifest.outputs[:outputs])
    (folder / "manifest.json").write_bytes(dump_manifest(manifest))
    return read_artifact(folder)


def opened(found: Artifact) -> object:
    return open_runtime(found, found.manifest.stages(KEY))


def run(found: Artifact, arrays: Arrays) -> dict[str, FloatArray]:
    return open_runtime(found, found.manifest.stages(KEY)).run(arrays)


@pytest.fixture(name="images")
def images_fixture() -> FloatArray:
    return np.random.default_rng(0).normal(size=(2, 3, 28, 42)).astype(np.float32)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("order", [(DEPTH, SKY), (SKY, DEPTH)], ids=["depth first", "sky first"])
def test_outputs_have_their_names_whatever_their_order(
    target: str, order: Sequence[Tensor], images: FloatArray, tmp_path: Path
) -> None:
    found = run(
        artifact(tmp_path, target, made_program(KEY, outputs=order)),
        {"images": images, "anything": images},
    )
    assert set(found) == {"depth", "sky"}
    assert all(array.dtype == np.float32 for array in found.values())
    assert np.allclose(found["depth"], depth_of(images), atol=1e-5)
    assert np.allclose(found["sky"], sky_of(images), atol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_stages_are_joined_by_names_and_only_results_come_out(
    target: str, images: FloatArray, tmp_path: Path
) -> None:
    first = made_program(KEY._replace(stage="first"), (IMAGES,), (SKY, SUMS))
    second = made_program(KEY._replace(stage="second"), (SUMS,), (DEPTH,))
    found = run(artifact(tmp_path, target, second, first), {"images": images})
    assert set(found) == {"depth", "sky"}
    assert np.allclose(found["depth"], depth_of(images), atol=1e-5)
    assert np.allclose(found["sky"], sky_of(images), atol=1e-5)


@pytest.mark.parametrize("target", ["openvino", "onnx"])
def test_a_graph_with_other_names_is_refused_when_it_is_opened(target: str, tmp_path: Path) -> None:
    other = artifact(tmp_path, target, made_program(KEY), inside=["disparity"], outputs=1)
    with pytest.raises(ProgramError, match="are called images, disparity.* says images, depth"):
        opened(other)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("wrong", ["shape", "dtype", "name"])
def test_input_that_is_not_the_program_s_is_the_request_s_fault(
    target: str, wrong: str, images: FloatArray, tmp_path: Path
) -> None:
    given = {
        "shape": {"images": images[:1]},
        "dtype": {"images": images.astype(np.float64)},
        "name": {"image": images},
    }[wrong]
    with pytest.raises(ProgramError, match="images") as caught:
        run(artifact(tmp_path, target, made_program(KEY, outputs=(DEPTH, SKY))), given)
    assert caught.value.action is Action.REQUEST_FAULT


@pytest.mark.parametrize("target", TARGETS)
def test_output_that_is_not_the_program_s_is_the_program_s_fault(
    target: str, images: FloatArray, tmp_path: Path
) -> None:
    turned = made_program(KEY, outputs=(replace(DEPTH, axes="BWH"),))
    with pytest.raises(
        ProgramError, match=r"output depth has shape \[2, 28, 42\], expected \[2, 42, 28\]"
    ) as caught:
        run(artifact(tmp_path, target, turned, outputs=1), {"images": images})
    assert caught.value.action is Action.ARTIFACT_FAULT


def test_a_program_of_another_number_of_outputs_is_at_fault(
    images: FloatArray, tmp_path: Path
) -> None:
    program = made_program(KEY)
    found = artifact(tmp_path, "torchscript", program, inside=["depth", "sky"], outputs=1)
    with pytest.raises(ProgramError, match="gave 2 outputs, expected 1"):
        run(found, {"images": images})
