"""Files made plain first: open sides, float16; and other layouts, refused by their name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compile.cli import main
from compile.imported.build import Import, import_masks
from compile.targets.onnx_file import read_file
from depth.artifact.manifest import read_artifact
from depth.errors import InputError
from depth.files import sha256_file
from serve.masks.network import InstanceNetwork
from tests.support.commands import ended
from tests.support.mask_networks import METADATA, halved, halved_inside, opened, write_network

TARGETS = ("onnx", "openvino")
PICTURE = np.full((128, 192, 3), 114, np.uint8)
PICTURE[32:80, 32:96] = (0, 0, 255)
PICTURE[64:112, 112:176] = (255, 0, 0)


def region(artifact: Any) -> Any:
    """Where the network of an artifact finds red and blue in the picture."""
    found = InstanceNetwork(artifact).find(PICTURE)
    assert set(found.counts) == {"red", "blue"}
    return found.region


def plain_region(tmp_path: Path, **options: Any) -> Any:
    """The same of the network as it is."""
    file = write_network(tmp_path / "plain.onnx", **options)
    return region(read_artifact(import_masks(Import(file, "onnx"), tmp_path / "plain")))


@pytest.mark.parametrize("target", TARGETS)
def test_open_sides_are_fixed_as_the_metadata_says(target: str, tmp_path: Path) -> None:
    file = write_network(tmp_path / "seg.onnx", tamper=opened)
    artifact = read_artifact(import_masks(Import(file, target), tmp_path / "out"))
    assert artifact.manifest.flags == ("opset=17", "sides=64x96")
    assert artifact.manifest.checkpoint.sha256 == sha256_file(file)
    (program,) = artifact.manifest.programs
    assert program.shapes(program.inputs) == {"images": (1, 3, 64, 96)}
    assert np.array_equal(region(artifact), plain_region(tmp_path))


def test_the_command_takes_a_size_and_parity_remembers_it(tmp_path: Path) -> None:
    bare = {key: text for key, text in METADATA.items() if key != "imgsz"}
    file = write_network(tmp_path / "seg.onnx", bare, tamper=opened)
    images = ("--images", tmp_path / "none")
    arguments = ("import", file, "--as", "instance-masks", "--target", "onnx", *images)
    where = ("-o", tmp_path / "out")
    open_ = ended(main, "python -m compile", *arguments, *where)
    assert open_.code == 2
    assert (
        "its input is [1,3,?,?], expected fixed sides: give them, such as --size" in open_.error()
    )
    odd = ended(main, "python -m compile", *arguments, *where, "--size", "64x97")
    assert odd.code == 2
    assert "--size 64x97: expected sides that are multiples of 32" in odd.error()
    made = ended(main, "python -m compile", *arguments, *where, "--size", "64x96")
    assert made.code == 0, made.err
    assert "seg.onnx: made plain first, sides=64x96\n" in made.err
    folder = made.out.strip()
    again = ended(main, "python -m compile", "parity", folder, "--checkpoint", file, *images)
    assert again.code == 0, again.err
    assert "passed: every program is within the limit" in again.out


def test_a_size_for_fixed_sides_is_refused(tmp_path: Path) -> None:
    file = write_network(tmp_path / "seg.onnx")
    import_masks(Import(file, "onnx", size=(64, 96)), tmp_path / "out")
    with pytest.raises(InputError, match="its sides are fixed, 64x96: leave --size out"):
        import_masks(Import(file, "onnx", size=(96, 96)), tmp_path / "out")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("tamper", [halved, halved_inside])
def test_float16_is_computed_in_float32(target: str, tamper: Any, tmp_path: Path) -> None:
    file = write_network(tmp_path / "seg.onnx", tamper=tamper)
    artifact = read_artifact(import_masks(Import(file, target), tmp_path / "out"))
    assert artifact.manifest.flags == ("opset=17", "float16=float32")
    assert artifact.manifest.checkpoint.sha256 == sha256_file(file)
    differ = region(artifact) != plain_region(tmp_path)
    assert differ.mean() < 0.01  # the weights are rounded to float16


def test_float16_as_whole_numbers_and_in_constants(tmp_path: Path) -> None:
    values = np.array([0.5, -2.0, 65504.0, 6e-8], np.float16)

    def odd(model: Any) -> None:
        halved(model)
        bits = onnx.TensorProto(name="bits", dims=[4], data_type=TensorProto.FLOAT16)
        bits.int32_data.extend(values.view(np.uint16).tolist())
        model.graph.node.append(helper.make_node("Constant", [], ["bits"], value=bits))

    file = read_file(write_network(tmp_path / "seg.onnx", tamper=odd))
    (constant,) = (
        node
        for node in onnx.load_model_from_string(file.data).graph.node
        if node.output == ["bits"]
    )
    wide = onnx.numpy_helper.to_array(constant.attribute[0].t)
    assert wide.dtype == np.float32
    assert wide.tolist() == values.astype(np.float32).tolist()


def test_float16_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    def short(model: Any) -> None:
        halved(model)
        model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-3]

    file = write_network(tmp_path / "seg.onnx", tamper=short)
    with pytest.raises(InputError, match="float16 of 'w0' has 15 bytes, expected 18"):
        read_file(file)


@pytest.mark.parametrize("target", TARGETS)
def test_another_number_of_prototypes(target: str, tmp_path: Path) -> None:
    file = write_network(tmp_path / "seg.onnx", prototypes=8)
    artifact = read_artifact(import_masks(Import(file, target), tmp_path / "out"))
    assert artifact.manifest.programs[0].shape["P"] == 8
    assert np.array_equal(region(artifact), plain_region(tmp_path))  # the same three count


def shaped(first: tuple[int, ...], *others: tuple[int, ...]) -> Any:
    """Outputs of other shapes, in place of the network."""

    def changed(model: Any) -> None:
        graph = model.graph
        del graph.node[:], graph.output[:], graph.initializer[:]
        for i, shape in enumerate((first, *others)):
            weights = onnx.numpy_helper.from_array(np.zeros(shape, np.float32), f"w{i}")
            graph.initializer.append(weights)
            graph.node.append(helper.make_node("Identity", [f"w{i}"], [f"out{i}"]))
            value = helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, shape)
            graph.output.append(value)

    return changed


SMALL = (1, 32, 16, 24)


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (shaped((1, 39, 126)), r"\(of a network that finds boxes only\)"),
        (shaped((1, 378, 40), SMALL), r"\(the layout of YOLOv5 and YOLOv7\)"),
        (shaped((1, 126, 39), SMALL), r"\(with both axes of the detections exchanged\)"),
        (shaped((1, 100, 38), SMALL), r"\(chosen boxes; export it without nms, and with end2end"),
        (shaped((1, 39, 126), (1, 36, 16, 24)), r"expected two, \[1,4\+C\+P,126\] for C classes"),
        (shaped((1, 304, 126), (1, 300, 16, 24)), r"and \[1,P,16,24\], float32"),
    ],
    ids=range(6),
)
def test_outputs_of_other_networks(tamper: Any, said: str, tmp_path: Path) -> None:
    file = write_network(tmp_path / "seg.onnx", tamper=tamper)
    with pytest.raises(InputError, match=said):
        import_masks(Import(file, "onnx"), tmp_path / "out")


def test_a_network_for_gray_is_refused(tmp_path: Path) -> None:
    def gray(model: Any) -> None:
        shaped((1, 39, 126), SMALL)(model)
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1

    file = write_network(tmp_path / "seg.onnx", tamper=gray)
    with pytest.raises(InputError, match=r"\[1,1,64,96\], .* only networks for RGB"):
        import_masks(Import(file, "onnx"), tmp_path / "out")
