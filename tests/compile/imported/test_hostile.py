"""Files of ONNX that are no contract partner: each is refused with its reason, and nothing runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compile.imported.build import Import, import_masks
from compile.imported.names import MOST_NAMES, parse_names
from compile.targets import onnx_file
from compile.targets.onnx_file import read_file
from depth.errors import InputError
from tests.support.mask_networks import METADATA, network, write_network

Tamper = Callable[[Any], None]


def refusal(tmp_path: Path, tamper: Any = None, **metadata: str) -> str:
    """Why a changed network is refused."""
    file = write_network(tmp_path / "seg.onnx", {**METADATA, **metadata}, tamper=tamper)
    out = tmp_path / "out"
    with pytest.raises(InputError) as caught:
        import_masks(Import(file, "onnx"), out)
    assert str(caught.value).startswith(f"{file}: ")
    assert not out.exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"task": "detect"}, "its task is 'detect': expected a network for segmentation"),
        ({"task": "pose"}, "its task is 'pose'"),
        ({"end2end": "True"}, "end to end, with another layout of outputs"),
        ({"stride": "64"}, "its stride is '64': expected 32"),
        ({"args": "{'batch': 1, 'nms': True}"}, "exported with nms=True: export it without nms"),
        ({"names": "{0: 'red', 1: 'green'}"}, "scores of 3 classes, and 2 names are given"),
        ({"names": "{0: 'red', 2: 'green', 1: 'red'}"}, "two classes are called 'red'"),
        ({"names": "{1: 'a', 2: 'b', 3: 'c'}"}, "do not count from 0"),
        ({"names": ""}, "has no names of classes"),
    ],
)
def test_metadata_of_another_network(metadata: dict[str, str], said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, **metadata)


def side(value: Any, axis: int, size: Any) -> None:
    dim = value.type.tensor_type.shape.dim[axis]
    dim.Clear()
    if isinstance(size, str):
        dim.dim_param = size
    else:
        dim.dim_value = size


def other_size(height: int, width: int) -> Tamper:
    """All shapes as of another size: the nodes do not count for the contract."""

    def changed(model: Any) -> None:
        made = network({}, (height, width)) if height * width < 1 << 16 else None
        model.graph.Clear() if made else None
        if made:
            model.graph.CopyFrom(made.graph)
        side(model.graph.input[0], 2, height)
        side(model.graph.input[0], 3, width)

    return changed


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (
            lambda m: side(m.graph.input[0], 2, 65),
            r"expected sides that are multiples of 32|not valid ONNX",
        ),
        (lambda m: side(m.graph.input[0], 0, 2), r"its input is \[2,3,64,96\]|not valid ONNX"),
        (lambda m: side(m.graph.input[0], 3, 1 << 40), "not valid ONNX|a tensor .* of"),
        (lambda m: side(m.graph.input[0], 3, 97), "multiples of 32|not valid ONNX"),
        (lambda m: m.graph.output.pop(), r"its outputs are output0 \[1,39,126\] float32 \("),
        (lambda m: m.graph.output.append(m.graph.output[0]), "not valid ONNX|its outputs are"),
        (lambda m: side(m.graph.output[0], 2, 127), "not valid ONNX|its outputs are"),
        (lambda m: side(m.graph.output[1], 1, 33), "not valid ONNX|scores of 2 classes"),
        (lambda m: m.graph.ClearField("node"), "has no graph"),
    ],
)
def test_shapes_that_do_not_fit(tamper: Tamper, said: str, tmp_path: Path) -> None:
    import re

    assert re.search(said, refusal(tmp_path, tamper))


def add_node(kind: str, domain: str = "", **attributes: Any) -> Tamper:
    def added(model: Any) -> None:
        node = helper.make_node(kind, ["images"], ["more"], domain=domain, **attributes)
        model.graph.node.append(node)

    return added


def with_function(model: Any) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    opset = helper.make_opsetid("", 17)
    model.functions.append(helper.make_function("own", "f", ["x"], ["y"], [node], [opset]))


def bomb(model: Any) -> None:
    """A constant of 4 TB that some runtimes make room for when they load it."""
    shape = numpy_helper.from_array(np.array([1 << 40], np.int64), "huge")
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("ConstantOfShape", ["huge"], ["more"]))
    model.graph.output.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["n"]))


def hidden_bomb(model: Any) -> None:
    """The same by a shape that is computed, so that nobody knows it before."""
    for name in ("large", "larger"):
        values = numpy_helper.from_array(np.array([1 << 20], np.int64), name)
        model.graph.initializer.append(values)
    nodes = [
        helper.make_node("Mul", ["large", "larger"], ["huge"]),
        helper.make_node("ConstantOfShape", ["huge"], ["filled"]),
        helper.make_node("ReduceSum", ["filled"], ["more"]),
    ]
    model.graph.node.extend(nodes)


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (add_node("Evil", "com.example"), "operator 'Evil' of 'com.example'"),
        (add_node("Loop"), "operator 'Loop', whose work is not known"),
        (add_node("If"), "operator 'If', whose work is not known"),
        (with_function, "brings functions of its own"),
        (add_node("NoSuchOperator"), "is not valid ONNX"),
        (bomb, "a tensor 'more' of"),
        (hidden_bomb, "operator 'ConstantOfShape' with an output of unknown size"),
    ],
)
def test_operators_that_are_not_run(tamper: Tamper, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, tamper)


@pytest.mark.parametrize("content", [b"", b"no protobuf at all", b"\x08" * 1000])
def test_a_file_of_something_else(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "seg.onnx"
    file.write_bytes(content)
    with pytest.raises(InputError, match="not an ONNX file|has no graph"):
        import_masks(Import(file, "onnx"), tmp_path / "out")


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write_network(tmp_path / "whole.onnx").read_bytes()
    file = tmp_path / "seg.onnx"
    for share in (0.1, 0.5, 0.9, 0.99):
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match="cut short|not valid|has no graph|expected|outputs"):
            import_masks(Import(file, "onnx"), tmp_path / "out")


def test_a_folder_a_missing_and_a_large_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tmp_path, tmp_path / "none.onnx"):
        with pytest.raises(InputError, match="cannot be read"):
            read_file(path)
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="expected at most 1000 bytes"):
        read_file(write_network(tmp_path / "seg.onnx"))


def outside(location: str, **entries: str) -> Tamper:
    """The first weights in another file."""

    def moved(model: Any) -> None:
        weight = model.graph.initializer[0]
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **entries}.items():
            weight.external_data.add(key=key, value=value)

    return moved


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "a/../../secret", "", "b\\secret"]
)
def test_weights_outside_the_folder_are_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(36))
    inner = tmp_path / "inner"
    inner.mkdir()
    assert "outside its folder; refused" in refusal(inner, outside(location))


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(36))
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "weights").symlink_to(tmp_path / "secret")
    assert "outside its folder; refused" in refusal(inner, outside("weights"))


def test_weights_that_are_missing_or_too_large_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "'weights', which is missing" in refusal(tmp_path, outside("weights"))
    (tmp_path / "weights").write_bytes(bytes(10))
    for entries in ({}, {"length": "36"}, {"offset": "5"}, {"length": "-1"}, {"length": "1" * 30}):
        assert "bytes, expected 36" in refusal(tmp_path, outside("weights", **entries))
    assert "another file: " in refusal(tmp_path, outside("weights", offset="-1"))
    assert "another file: " in refusal(tmp_path, outside("weights", offset="much"))
    (tmp_path / "weights").write_bytes(bytes(20_000))
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 19_000)
    assert "has more than 0 MB with 'weights'" in refusal(tmp_path, outside("weights"))


def test_weights_beside_the_file_are_packed_into_it(tmp_path: Path) -> None:
    plain = write_network(tmp_path / "plain.onnx")
    model = onnx.load(str(plain))
    apart = tmp_path / "apart.onnx"
    onnx.save_model(
        model, str(apart), save_as_external_data=True, location="apart.bin", size_threshold=0
    )
    assert len(apart.read_bytes()) < len(plain.read_bytes())
    folder = import_masks(Import(apart, "onnx"), tmp_path / "out")
    (program,) = folder.glob("programs/*.onnx")
    packed = onnx.load(str(program), load_external_data=False)
    assert [numpy_helper.to_array(w).tolist() for w in packed.graph.initializer] == [
        numpy_helper.to_array(w).tolist() for w in onnx.load(str(plain)).graph.initializer
    ]


NO_NAMES = [
    "__import__('os').system('true')",
    "{0: __import__('os')}",
    "{0: 'a' + 'b'}",
    "{0: ['a']}",
    "{0: {1: 'a'}}",
    "{'0': 'a'}",
    "{0: 'a', **{}}",
    "{-0: 'a'}",
    "{0: b'a'}",
    "{0: f'{1}'}",
    "person, car",
    "(" * 100_000,
    "-" * 100_000 + "1",
    "{0: '" + "x" * 101 + "'}",
    "{0: ''}",
    "{0: 'a\\nb'}",
    "{0: '\\x1b[2J'}",
    "{}",
    "[]",
    "{0: 'a' 1: 'b'}",
    "{" + ", ".join(f"{i}: 'c{i}'" for i in range(MOST_NAMES + 1)) + "}",
    "{0: '" + "x" * 300_000 + "'}",
]


@pytest.mark.parametrize("text", NO_NAMES, ids=range(len(NO_NAMES)))
def test_names_that_are_no_names(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match="name"):
        parse_names(text)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{0: 'person', 1: 'traffic light'}", ("person", "traffic light")),
        ("{1: \"driver's seat\", 0: 'größe',}", ("größe", "driver's seat")),
        ("['a', 'b']", ("a", "b")),
        ("{0: 'it\\'s'}", ("it's",)),
    ],
)
def test_names_by_number_or_in_order(text: str, names: tuple[str, ...]) -> None:
    assert parse_names(text) == names


def test_ten_thousand_names_are_refused_at_once(tmp_path: Path) -> None:
    many = "{" + ", ".join(f"{i}: 'c{i}'" for i in range(10_000)) + "}"
    assert "10000 names of classes: expected 1 to 2000" in refusal(tmp_path, names=many)
