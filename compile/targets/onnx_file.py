"""Files of ONNX by the package `onnx`: written again, and described without running them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Optional

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from compile.targets.onnx_fold import Array, Shapes, fold
from compile.targets.onnx_plain import fix_sides, sort_nodes, widen
from depth.errors import InputError, first_line
from depth.files import read_regular, reading, sha256_bytes
from depth.sizes import Size

MOST_BYTES = 1_000_000_000  # of a file that is imported, with the weights beside it
_MOST_NODES = 20_000
_MOST_VALUES = 1 << 28  # of a tensor inside, 1 GB
_MOST_OF_SHAPES = 1 << 10  # values of weights that shapes are computed with
_ENDLESS = ("If", "Loop", "Scan", "SequenceMap")  # operators with graphs of their own
# Operators whose output may be of any size, by numbers in their inputs.
_GROWING = ("ConstantOfShape", "Expand", "Pad", "Range", "Resize", "Tile", "Upsample", "OneHot")
_OWN_DOMAINS = ("", "ai.onnx")
_BYTES = {  # by type of weights
    TensorProto.FLOAT: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.INT64: 8,
    TensorProto.INT32: 4,
}


@dataclass(frozen=True)
class Port:
    """An input or output of a file."""

    name: str
    shape: tuple[Optional[int], ...]  # None: not fixed
    dtype: str  # "float32"


@dataclass(frozen=True)
class OnnxFile:
    """What a file says about itself, once it is plain."""

    data: bytes  # of the whole model, with the weights inside
    sha256: str  # hex, of the model as it was given
    changes: tuple[str, ...]  # that made it plain
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]
    opset: int


def with_data(exported: Path, path: Path) -> list[Path]:
    """A model again, with all large tensors in one file beside it."""
    data = path.with_name(f"{path.name}.data")
    onnx.save_model(
        onnx.load(str(exported)),
        str(path),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=data.name,
    )
    return [path, data]


def _no_size(_: Mapping[str, str]) -> Optional[Size]:
    return None


def read_file(
    path: Path, size_of: Callable[[Mapping[str, str]], Optional[Size]] = _no_size
) -> OnnxFile:
    """Read a file that somebody else made, as hostile input: nothing of it is run.

    size_of  gives (height, width) px of an input that leaves them open, from the metadata; what it
             raises is raised before anything else of the graph is read

    Open sides are fixed, and float16 becomes float32. Raises InputError with the reason: not ONNX,
    too large, operators that run for an unknown time or come from elsewhere, or weights in files
    outside its folder.
    """
    try:
        data = read_regular(path, MOST_BYTES)
        model = onnx.load_model_from_string(data)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except Exception as error:  # of protobuf; its exceptions differ between its versions
        raise InputError(
            f"{path}: not an ONNX file, or cut short: {first_line(error)}; export it again"
        ) from error
    for problem in _foreign(model):
        raise InputError(f"{path}: {problem}")
    if _with_files_inside(model, path, len(data)):
        data = model.SerializeToString()
    sha256, graph = sha256_bytes(data), model.graph
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    try:
        size = size_of(metadata)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    order, fixed = sort_nodes(model), fix_sides(model, size)
    if fixed:
        _fold(model)
    changes = tuple(filter(None, (order, fixed, widen(model))))
    inferred = _inferred(model, path)
    for problem in _endless(inferred):
        raise InputError(f"{path}: {problem}")
    if changes:
        for output, known in zip(graph.output, inferred.output):
            output.CopyFrom(known)
        data = model.SerializeToString()
    weights = {tensor.name for tensor in graph.initializer}
    return OnnxFile(
        data,
        sha256,
        changes,
        tuple(_port(value) for value in graph.input if value.name not in weights),
        tuple(map(_port, inferred.output)),
        metadata,
        max((o.version for o in model.opset_import if o.domain in _OWN_DOMAINS), default=0),
    )


def _foreign(model: Any) -> Iterator[str]:
    graph = model.graph
    if not graph.node or not graph.output:
        yield "has no graph: expected an exported ONNX network"
    if len(graph.node) > _MOST_NODES:
        yield f"has {len(graph.node)} operators, expected at most {_MOST_NODES}"
    if model.functions:
        yield "brings functions of its own, which are refused; export it with plain operators"
    for node in graph.node:
        if node.domain not in _OWN_DOMAINS:
            yield (
                f"has the operator {node.op_type!r} of {node.domain!r}: only those of ONNX itself "
                "are accepted; export it without plugins"
            )
        if node.op_type in _ENDLESS:
            yield f"has the operator {node.op_type!r}, whose work is not known; export it without"
        if any(_is_outside(attribute.t) for attribute in node.attribute):
            yield f"has a constant of {node.op_type!r} in another file; export it again"


def _inferred(model: Any, path: Path) -> Any:
    """The graph with the shapes of all tensors, as far as they follow. Raises InputError."""
    try:
        onnx.checker.check_model(model)
        return onnx.shape_inference.infer_shapes(model).graph
    except Exception as error:  # RuntimeError, ValidationError, and what protobuf raises
        raise InputError(
            f"{path}: is not valid ONNX: {first_line(error)}; export it again"
        ) from error


def _endless(graph: Any) -> Iterator[str]:
    """What the shapes inside say, before a runtime makes room for them."""
    shapes = _shapes(graph)
    for name, shape in shapes.items():
        count = math.prod(side or 1 for side in shape)
        if count > _MOST_VALUES:
            yield f"has a tensor {name!r} of {count} values: the limit is {_MOST_VALUES}"
    for node in graph.node:
        if node.op_type in _GROWING and None in shapes.get(node.output[0], (None,)):
            yield (
                f"has the operator {node.op_type!r} with an output of unknown size; export it with "
                "dynamic=False and simplify=True"
            )


def _shapes(graph: Any) -> dict[str, tuple[Optional[int], ...]]:
    return {
        value.name: _port(value).shape
        for value in (*graph.value_info, *graph.output, *graph.input)
        if value.type.tensor_type.HasField("shape")
    }


def _fold(model: Any) -> None:
    """Compute what follows from the shapes."""
    from onnx.reference import ReferenceEvaluator  # a quarter of a second

    def shapes_of(model: Any) -> Shapes:
        return _shapes(onnx.shape_inference.infer_shapes(model).graph)

    def compute(node: Any, inputs: Sequence[Array]) -> Array:
        given = [onnx.ValueInfoProto(name=name) for name in node.input]
        result = onnx.ValueInfoProto(name=node.output[0])
        graph = onnx.helper.make_graph([node], "one", given, [result])
        alone = onnx.helper.make_model(graph, opset_imports=model.opset_import)
        results: Any = ReferenceEvaluator(alone).run(None, dict(zip(node.input, inputs)))
        return np.asarray(results[0])

    small = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if math.prod(tensor.dims) <= _MOST_OF_SHAPES
    }
    fold(model, small, shapes_of, compute, numpy_helper.from_array)


def _with_files_inside(model: Any, path: Path, size_bytes: int) -> bool:
    """Take weights from files beside the model into it; whether there were any.

    Raises InputError for a file that is not beside it, or too large.
    """
    outside = [tensor for tensor in model.graph.initializer if _is_outside(tensor)]
    for name in sorted({_location(tensor) for tensor in outside}):
        file = _beside(path, name)
        size_bytes += file.stat().st_size
        if size_bytes > MOST_BYTES:
            raise InputError(f"{path}: has more than {MOST_BYTES // 10**6} MB with {name!r}")
    for tensor in outside:
        _take_in(tensor, path)
    return bool(outside)


def _take_in(tensor: Any, path: Path) -> None:
    """The bytes of weights in a file beside the model. Raises InputError if there are others."""
    told = {entry.key: entry.value for entry in tensor.external_data}
    count = math.prod(tensor.dims) * _BYTES.get(tensor.data_type, 0)
    try:
        start, length = int(told.get("offset") or 0), int(told.get("length") or count)
        with reading(_beside(path, told.get("location", ""))) as file:
            file.seek(start)
            data = file.read(min(max(length, 0), MOST_BYTES))
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: weights {tensor.name!r} in another file: {error}") from error
    if not count or len(data) != count:
        raise InputError(
            f"{path}: weights {tensor.name!r} in another file have {len(data)} bytes, expected "
            f"{count}; export it again"
        )
    tensor.raw_data = data
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _is_outside(tensor: Any) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def _location(tensor: Any) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _beside(path: Path, name: str) -> Path:
    """The file of weights. Raises InputError unless it is a regular file below the model's."""
    pure, folder = PurePosixPath(name), path.parent.resolve()
    inside = name and not pure.is_absolute() and ".." not in pure.parts and "\\" not in name
    try:
        file = (folder / pure).resolve()
        if not inside or folder not in file.parents:
            raise InputError(f"{path}: its weights are in {name!r}, outside its folder; refused")
        if not file.is_file():
            raise InputError(f"{path}: its weights are in {name!r}, which is missing; copy it")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: its weights are in {name!r}: {error}") from error
    return file


def _port(value: Any) -> Port:
    tensor = value.type.tensor_type
    shape = tuple(
        int(side.dim_value) if side.HasField("dim_value") else None for side in tensor.shape.dim
    )
    names = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}
    return Port(value.name, shape, names.get(tensor.elem_type, f"type {tensor.elem_type}"))
