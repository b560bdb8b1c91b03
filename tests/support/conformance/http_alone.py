"""Calls of HTTP alone: JSON tensors, compression, and bodies that no client would send."""

from __future__ import annotations

import http.client
import json
from typing import Any

import tritonclient.http as over_http

from tests.support.conformance.client import IMAGES, MODEL, Call, Outcome, infer_of, input_of

_HEAD = "Inference-Header-Content-Length"


def json_in_and_out(client: Any) -> Outcome:
    wanted = [over_http.InferRequestedOutput("depth", binary_data=False)]
    sent = input_of(client, IMAGES, binary_data=False)
    return infer_of(client, sent, outputs=wanted).as_numpy("depth")


def json_in_raw_out(client: Any) -> Outcome:
    return infer_of(client, input_of(client, IMAGES, binary_data=False)).as_numpy("depth")


def gzip_both_ways(client: Any) -> Outcome:
    codings = dict.fromkeys(
        ("request_compression_algorithm", "response_compression_algorithm"), "gzip"
    )
    return infer_of(client, **codings).as_numpy("depth")


def deflate_both_ways(client: Any) -> Outcome:
    codings = dict.fromkeys(
        ("request_compression_algorithm", "response_compression_algorithm"), "deflate"
    )
    return infer_of(client, **codings).as_numpy("depth")


def _post(client: Any, body: bytes, headers: dict[str, str], path: str = "infer") -> Outcome:
    connection = http.client.HTTPConnection(client.address, timeout=30)
    try:
        connection.request("POST", f"/v2/models/{MODEL}/{path}", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status if answer.status == 200 else [answer.status, _has_error(text)]
    finally:
        connection.close()


def _has_error(text: bytes) -> str:
    """Triton's form of an error, or what is there instead."""
    try:
        found = json.loads(text)
    except ValueError:
        return "no JSON"
    return "error" if isinstance(found.get("error"), str) else "JSON without an error"


def _body(**changes: Any) -> bytes:
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(IMAGES.shape)}
    tensor["parameters"] = {"binary_data_size": IMAGES.nbytes}
    tensor.update(changes)
    return json.dumps({"inputs": [tensor]}).encode()


def _sent(client: Any, head: bytes, raw: bytes, length: Any = None) -> Outcome:
    said = str(len(head) if length is None else length)
    return _post(client, head + raw, {_HEAD: said})


def raw_tensor(client: Any) -> Outcome:
    return _sent(client, _body(), IMAGES.tobytes())


def bytes_left_over(client: Any) -> Outcome:
    return _sent(client, _body(), IMAGES.tobytes() + b"x")


def bytes_missing(client: Any) -> Outcome:
    return _sent(client, _body(), IMAGES.tobytes()[:-1])


def size_too_small(client: Any) -> Outcome:
    head = _body().replace(str(IMAGES.nbytes).encode(), b"5")
    return _sent(client, head, IMAGES.tobytes())


def size_negative(client: Any) -> Outcome:
    head = _body().replace(str(IMAGES.nbytes).encode(), b"-5")
    return _sent(client, head, IMAGES.tobytes())


def head_too_long(client: Any) -> Outcome:
    return _sent(client, _body(), IMAGES.tobytes(), 10_000_000)


def head_no_number(client: Any) -> Outcome:
    return _sent(client, _body(), IMAGES.tobytes(), "many")


def shape_negative(client: Any) -> Outcome:
    return _sent(client, _body(shape=[-1, 28, 42, 3]), IMAGES.tobytes())


def shape_huge(client: Any) -> Outcome:
    return _sent(client, _body(shape=[1 << 40, 28, 42, 3]), IMAGES.tobytes())


def datatype_unknown(client: Any) -> Outcome:
    return _sent(client, _body(datatype="UINT7"), IMAGES.tobytes())


def no_json(client: Any) -> Outcome:
    return _post(client, b"{]", {})


def no_object(client: Any) -> Outcome:
    return _post(client, b"[]", {})


def no_inputs(client: Any) -> Outcome:
    return _post(client, b"{}", {})


def no_body(client: Any) -> Outcome:
    return _post(client, b"", {})


def no_gzip(client: Any) -> Outcome:
    return _post(client, _body(), {"Content-Encoding": "gzip"})


def values_missing(client: Any) -> Outcome:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 28, 42, 3], "data": [1, 2, 3]}
    return _post(client, json.dumps({"inputs": [tensor]}).encode(), {})


def values_too_large(client: Any) -> Outcome:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 300]}
    return _post(client, json.dumps({"inputs": [tensor]}).encode(), {})


HTTP: list[Call] = [
    json_in_and_out,
    json_in_raw_out,
    gzip_both_ways,
    deflate_both_ways,
    raw_tensor,
    bytes_left_over,
    bytes_missing,
    size_too_small,
    size_negative,
    head_too_long,
    head_no_number,
    shape_negative,
    shape_huge,
    datatype_unknown,
    no_json,
    no_object,
    no_inputs,
    no_body,
    no_gzip,
    values_missing,
    values_too_large,
]
