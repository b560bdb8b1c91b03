"""Bodies of HTTP that carry inference: a JSON part, and raw tensors after it.

Source: Open Inference Protocol V2, binary tensor data extension. The header
`Inference-Header-Content-Length` says where the JSON part ends. Each tensor says in
`binary_data_size` how many of the bytes that follow are its own, in order.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Optional

from depth.artifact.strict_json import parse_object
from depth.errors import InputError
from serve.service.failures import RequestError
from serve.service.v2.infer import InferAnswer
from serve.service.v2.request import (
    VERSION,
    InferRequest,
    check_input_parameters,
    check_output_parameters,
)
from serve.service.v2.tensors import (
    Tensor,
    check_datatype,
    check_shape,
    from_list,
    from_raw,
    shown,
    to_list,
    to_raw,
)

HEADER_LENGTH = "Inference-Header-Content-Length"
MAX_JSON_BYTES = 16_000_000  # Python's lists of so much JSON take some 400 MB
MAX_JSON_VALUES = 4_000_000  # of an answer
_LARGE_BYTES = 1_000_000  # JSON of which one at a time is parsed
_ONE_LARGE = Lock()


@dataclass(frozen=True)
class InferBody:
    """A request for inference as its body has it.

    binary  whether an output that the body does not name comes as raw bytes
    named   the same by name of the output
    """

    request: InferRequest
    binary: bool
    named: Mapping[str, bool]


def decompressed(data: bytes, coding: str, limit_bytes: int) -> bytes:
    """A body without its Content-Encoding: gzip, deflate or none.

    Raises RequestError: 415 for other codings, 400 for damaged data, 413 for more than the limit.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return data
    if coding not in ("gzip", "deflate"):
        raise RequestError(415, f"Content-Encoding {coding[:50]!r}: expected gzip or deflate")
    stream = zlib.decompressobj(zlib.MAX_WBITS | (16 if coding == "gzip" else 0))
    try:
        found = stream.decompress(data, limit_bytes + 1)
    except zlib.error as error:
        raise RequestError(400, f"Content-Encoding: the body is no {coding} ({error})") from None
    if len(found) > limit_bytes:
        raise RequestError(413, f"the body is over {limit_bytes / 1e6:g} MB once decompressed")
    if not stream.eof or stream.unused_data:
        raise RequestError(400, f"Content-Encoding: the body is not exactly one {coding} stream")
    return found


def infer_body(body: bytes, header_length: Optional[str], model: str, version: str) -> InferBody:
    """The request of a body. Raises InputError that names the field, RequestError for its size."""
    head, raw = _parts(body, header_length)
    if len(head) <= _LARGE_BYTES:
        return _parsed(head, raw, model, version)
    with _ONE_LARGE:
        return _parsed(head, raw, model, version)


def infer_answer(answer: InferAnswer, asked: InferBody) -> tuple[bytes, Optional[int]]:
    """The body of an answer, and the length of its JSON part if raw tensors follow it.

    Raises InputError for more numbers than JSON should carry.
    """
    outputs, parts = [], []
    for tensor in answer.outputs:
        said: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.shape),
            "parameters": dict(answer.meanings[tensor.name]),
        }
        if asked.named.get(tensor.name, asked.binary):
            parts.append(to_raw(tensor))
            said["parameters"]["binary_data_size"] = len(parts[-1])
        else:
            said["data"] = _few_values(tensor)
        outputs.append(said)
    request = answer.request
    whole = {
        "model_name": request.model,
        "model_version": VERSION,
        **({"id": request.id} if request.id else {}),
        "parameters": dict(answer.parameters),
        "outputs": outputs,
    }
    head = json.dumps(whole, separators=(",", ":")).encode()
    return b"".join((head, *parts)), len(head) if parts else None


def compressed(data: bytes, accepted: str) -> tuple[bytes, Optional[str]]:
    """An answer in the coding of Accept-Encoding if that names gzip or deflate alone.

    A list of codings, as browsers send it, asks for nothing: depth hardly gets smaller.
    """
    coding = accepted.strip().lower()
    if coding == "gzip":
        return gzip.compress(data, 1), coding
    if coding == "deflate":
        return zlib.compress(data, 1), coding
    return data, None


def json_object(data: bytes, what: str) -> dict[str, Any]:
    """An object of JSON. Raises InputError, or RequestError for more than MAX_JSON_BYTES."""
    if len(data) > MAX_JSON_BYTES:
        raise RequestError(
            413,
            f"{what}: {len(data) / 1e6:.0f} MB of JSON, over {MAX_JSON_BYTES / 1e6:g} MB: send "
            "binary tensor data",
        )
    try:
        return parse_object(data)
    except ValueError as error:
        raise InputError(f"{what}: not the JSON of this protocol: {str(error)[:200]}") from None


def _parts(body: bytes, header_length: Optional[str]) -> tuple[bytes, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    digits = header_length.strip()
    length = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 16 else -1
    if not 0 <= length <= len(body):
        raise InputError(
            f"{HEADER_LENGTH} is {header_length[:50]!r}, expected 0 to {len(body)}, the body's "
            "length"
        )
    return body[:length], memoryview(body)[length:]


def _parsed(head: bytes, raw: memoryview, model: str, version: str) -> InferBody:
    found = json_object(head, "request")
    for name in set(found) - {"id", "parameters", "inputs", "outputs"}:
        raise InputError(f"request: unknown field {name[:100]!r}")
    parameters = _object(found, "parameters", "request")
    inputs = []
    for i, each in enumerate(_objects(found, "inputs")):
        tensor, raw = _input(each, f"inputs[{i}]", raw)
        inputs.append(tensor)
    if len(raw):
        raise InputError(f"{len(raw)} bytes follow the last tensor of the request")
    names, named = [], {}
    for i, each in enumerate(_objects(found, "outputs")):
        name = _text(each, "name", f"outputs[{i}]")
        of_output = _object(each, "parameters", f"output {name}")
        check_output_parameters(name, of_output)
        if "binary_data" in of_output:
            named[name] = _flag(of_output, "binary_data", f"output {name}")
        names.append(name)
    binary = _flag(parameters, "binary_data_output", "request")
    request_id = _text(found, "id", "request") if "id" in found else ""
    request = InferRequest(model, version, inputs, names, request_id, parameters)
    return InferBody(request, binary, named)


def _input(found: Mapping[str, Any], where: str, raw: memoryview) -> tuple[Tensor, memoryview]:
    """A tensor of a request, and the raw bytes after it."""
    name = _text(found, "name", where)
    where = f"input {name}"
    datatype = check_datatype(where, found.get("datatype"))
    shape = check_shape(where, found.get("shape"))
    parameters = _object(found, "parameters", where)
    check_input_parameters(name, parameters)
    size = parameters.get("binary_data_size")
    if size is None:
        if "data" not in found:
            raise InputError(f"{where}: neither data nor the parameter binary_data_size")
        return from_list(name, datatype, shape, found["data"]), raw
    if "data" in found:
        raise InputError(f"{where}: both data and the parameter binary_data_size")
    if type(size) is not int or not 0 <= size <= len(raw):
        raise InputError(
            f"{where}: binary_data_size is {shown(size)}, expected 0 to {len(raw)}, the bytes "
            "that follow"
        )
    return from_raw(name, datatype, shape, raw[:size]), raw[size:]


def _objects(found: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    given = found.get(key, [])
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise InputError(f"request: {key} is no list of objects")
    return given


def _object(found: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    given = found.get(key, {})
    if not isinstance(given, dict):
        raise InputError(f"{where}: {key} is no object")
    return given


def _text(found: Mapping[str, Any], key: str, where: str) -> str:
    given = found.get(key)
    if not isinstance(given, str) or len(given) > 1000 or not _is_whole(given):
        raise InputError(f"{where}: {key} is {shown(given)}, expected a text")
    return given


def _is_whole(text: str) -> bool:
    """Whether UTF-8 can carry it; JSON can name half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flag(found: Mapping[str, Any], key: str, where: str) -> bool:
    given = found.get(key, False)
    if not isinstance(given, bool):
        raise InputError(f"{where}: {key} is {shown(given)}, expected true or false")
    return given


def _few_values(tensor: Tensor) -> list[Any]:
    count = len(tensor.values) if isinstance(tensor.values, list) else tensor.values.size
    if count > MAX_JSON_VALUES:
        raise InputError(
            f"output {tensor.name}: {count} numbers are too many for JSON; ask with the parameter "
            "binary_data"
        )
    return to_list(tensor)
