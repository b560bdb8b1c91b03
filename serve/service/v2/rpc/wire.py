"""Requests and answers of gRPC: messages to what the protocol works with, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from depth.errors import InputError
from serve.service.v2.infer import InferAnswer
from serve.service.v2.request import (
    VERSION,
    InferRequest,
    check_input_parameters,
    check_output_parameters,
)
from serve.service.v2.rpc.messages import message
from serve.service.v2.tensors import (
    BYTES,
    Tensor,
    check_datatype,
    check_shape,
    from_list,
    from_raw,
    to_raw,
)

# The field of InferTensorContents that has the values of a datatype.
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}


def infer_request(found: Any) -> InferRequest:
    """The request of a ModelInferRequest. Raises InputError that names the field."""
    raw = list(found.raw_input_contents)
    if raw and len(raw) != len(found.inputs):
        raise InputError(
            f"{len(raw)} raw_input_contents for {len(found.inputs)} inputs: expected one for each"
        )
    inputs = [_input(each, raw[i] if raw else None) for i, each in enumerate(found.inputs)]
    for output in found.outputs:
        check_output_parameters(output.name, parameters_of(output.parameters))
    names = [output.name for output in found.outputs]
    parameters = parameters_of(found.parameters)
    return InferRequest(found.model_name, found.model_version, inputs, names, found.id, parameters)


def infer_response(answer: InferAnswer) -> Any:
    """The ModelInferResponse of an answer, its tensors as raw bytes."""
    request = answer.request
    made = message("ModelInferResponse")(
        model_name=request.model, model_version=VERSION, id=request.id
    )
    _put(made.parameters, answer.parameters)
    for tensor in answer.outputs:
        output = made.outputs.add(name=tensor.name, datatype=tensor.datatype)
        output.shape.extend(tensor.shape)
        _put(output.parameters, answer.meanings[tensor.name])
        made.raw_output_contents.append(bytes(to_raw(tensor)))
    return made


def filled(name: str, values: Mapping[str, Any]) -> Any:
    """A message with these values, as its JSON form has them."""
    return json_format.ParseDict(values, message(name)())


def parameters_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by name. Raises InputError for a parameter without a value."""
    given = {}
    for name, value in found.items():
        kind = value.WhichOneof("parameter_choice")
        if kind is None:
            raise InputError(f"parameter {name[:100]!r} has no value")
        given[name] = getattr(value, kind)
    return given


def _input(found: Any, raw: Any) -> Tensor:
    where = f"input {found.name[:100]}"
    datatype = check_datatype(where, found.datatype)
    shape = check_shape(where, list(found.shape))
    check_input_parameters(found.name, parameters_of(found.parameters))
    if raw is not None:
        if found.HasField("contents"):
            raise InputError(f"{where}: both contents and raw_input_contents")
        return from_raw(found.name, datatype, shape, raw)
    if datatype not in _CONTENTS:
        raise InputError(f"{where}: contents cannot have {datatype}; use raw_input_contents")
    values = list(getattr(found.contents, _CONTENTS[datatype]))
    if datatype == BYTES:
        return _of_bytes(found.name, shape, values)
    return from_list(found.name, datatype, shape, values)


def _of_bytes(name: str, shape: tuple[int, ...], values: list[bytes]) -> Tensor:
    count = math.prod(shape)
    if len(values) != count:
        raise InputError(f"input {name}: {len(values)} elements of BYTES, its shape has {count}")
    return Tensor(name, BYTES, shape, values)


def _put(target: Any, parameters: Mapping[str, str]) -> None:
    for name, text in parameters.items():
        target[name].string_param = text
