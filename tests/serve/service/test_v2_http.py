"""The protocol over HTTP with requests that no client would send: never a fault of the service."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient

from serve.service.app import application
from serve.service.failures import RequestError
from serve.service.models import Models
from serve.service.service import Service
from serve.service.settings import Settings
from serve.service.v2.body import HEADER_LENGTH, MAX_JSON_BYTES, json_object
from tests.support.v2_services import depth_of, mark_of, model_of, pixels, ppm

INFER = "/v2/models/depth/infer"
IMAGE = pixels()
RAW = IMAGE.tobytes()
TENSOR = {
    "name": "image",
    "datatype": "UINT8",
    "shape": [1, 28, 42, 3],
    "parameters": {"binary_data_size": len(RAW)},
}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service(Models(), Settings(max_body_bytes=1_000_000))
    model = model_of()
    made.models.put(model)
    model.warm_up()
    yield made
    made.models.close()


@pytest.fixture(scope="module")
def client(service: Service) -> TestClient:
    return TestClient(application(service), base_url="http://localhost")


def head_of(tensor: Any = TENSOR, **further: Any) -> bytes:
    return json.dumps({"inputs": [tensor], **further}).encode()


def send(client: TestClient, head: bytes, raw: bytes = RAW, **headers: str) -> httpx.Response:
    given = {HEADER_LENGTH: str(len(head)), **{k.replace("_", "-"): v for k, v in headers.items()}}
    return client.post(INFER, content=head + raw, headers=given)


def of_json(client: TestClient, whole: Any) -> httpx.Response:
    text = whole if isinstance(whole, (bytes, str)) else json.dumps(whole)
    return client.post(INFER, content=text)


def depth(answer: httpx.Response) -> Any:
    length = int(answer.headers[HEADER_LENGTH])
    said = json.loads(answer.content[:length])["outputs"][0]
    return np.frombuffer(answer.content[length:], "<f4").reshape(said["shape"])


def test_raw_in_raw_out(client: TestClient, service: Service) -> None:
    answer = send(client, head_of(parameters={"binary_data_output": True}, id="9"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    expected = depth_of(IMAGE, mark_of(service.models.find().identity))
    np.testing.assert_allclose(depth(answer), expected, atol=1e-3)


def test_json_is_the_default(client: TestClient) -> None:
    answer = send(client, head_of(id="9")).json()
    assert (answer["id"], answer["model_version"]) == ("9", "1")
    assert len(answer["outputs"][0]["data"]) == 28 * 42


def test_an_output_may_choose(client: TestClient) -> None:
    wanted = [{"name": "depth", "parameters": {"binary_data": True}}]
    assert depth(send(client, head_of(outputs=wanted))).shape == (1, 28, 42)
    wanted = [{"name": "depth", "parameters": {"binary_data": False}}]
    answer = send(client, head_of(outputs=wanted, parameters={"binary_data_output": True}))
    assert HEADER_LENGTH not in answer.headers


def test_files_in_json_are_base64(client: TestClient) -> None:
    text = base64.b64encode(ppm(IMAGE[0])).decode()
    tensor = {"name": "encoded", "datatype": "BYTES", "shape": [1], "data": [text]}
    assert of_json(client, {"inputs": [tensor]}).status_code == 200
    wrong = {**tensor, "data": ["§" + text]}
    answer = of_json(client, {"inputs": [wrong]})
    assert answer.status_code == 400
    assert "base64" in answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": [1, 28, 42, -3]}, "sizes of 0 or more"),
        ({"shape": [1 << 62, 1 << 62, 4, 3]}, "over 4294967296 elements"),
        ({"shape": [0, 28, 42, 3]}, "expected 0 for"),
        ({"shape": [1.0, 28, 42, 3]}, "whole numbers"),
        ({"shape": [True, 28, 42, 3]}, "whole numbers"),
        ({"shape": "28"}, "whole numbers"),
        ({"shape": [1] * 9}, "at most 8 sizes"),
        ({"shape": None}, "whole numbers"),
        ({"datatype": "UINT9"}, "datatype 'UINT9', expected one of BOOL"),
        ({"datatype": None}, "datatype None"),
        ({"datatype": "FP64"}, "bytes of data, expected"),
        ({"datatype": "BYTES"}, "BYTES"),
        ({"name": "\ud800"}, "name is"),
        ({"name": 5}, "name is 5"),
        ({"parameters": {"binary_data_size": len(RAW) + 1}}, "binary_data_size is"),
        ({"parameters": {"binary_data_size": -1}}, "binary_data_size is -1"),
        ({"parameters": {"binary_data_size": 1.5}}, "binary_data_size is 1.5"),
        ({"parameters": {"binary_data_size": 7}}, "7 bytes of data"),
        ({"parameters": []}, "parameters is no object"),
        ({"parameters": {"shared_memory_region": "x"}}, "shared-memory"),
        ({"parameters": {}}, "neither data nor"),
        ({"data": [1]}, "both data and"),
    ],
)
def test_a_tensor_that_lies_is_refused(client: TestClient, change: Any, said: str) -> None:
    answer = send(client, head_of({**TENSOR, **change}))
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    "data",
    [
        [1, 2, 300],
        [1, 2, -1],
        [1, 2, 3.0],
        [1, 2, True],
        [1, 2, "3"],
        [1, 2, None],
        [1, 2],
        [1, 2, 3, 4],
        [[1, 2], 3],
        [[[[1, 2, [3]]]]],
        {"0": 1},
        "123",
        7,
        [1, 2, 10**300],
    ],
)
def test_values_that_are_no_tensor_are_refused(client: TestClient, data: Any) -> None:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": data}
    answer = of_json(client, {"inputs": [tensor]})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("input image:")


def test_nested_lists_are_a_tensor(client: TestClient) -> None:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 28, 42, 3], "data": IMAGE.tolist()}
    flat = {**tensor, "data": IMAGE.reshape(-1).tolist()}
    one, other = (of_json(client, {"inputs": [each]}).json() for each in (tensor, flat))
    assert one["outputs"] == other["outputs"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"inputs": NaN}',
        b'{"inputs": [], "inputs": []}',
        b'{"inputs": {}}',
        b'{"inputs": [7]}',
        b'{"inputs": [], "outputs": 3}',
        b'{"inputs": [], "parameters": 3}',
        b'{"inputs": [], "id": 3}',
        b'{"inputs": [], "id": "\\ud800"}',
        b'{"inputs": [], "surprise": 3}',
        b'{"inputs": [], "parameters": {"binary_data_output": 1}}',
        b"[" * 100_000,
        b'{"inputs": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"inputs": ' + b"9" * 100_000 + b"}",
        b'{"inputs": [{"name": "image", "datatype": "UINT8", "shape": '
        + b"[" * 500
        + b"]" * 500
        + b"}]}",
    ],
)
def test_json_that_is_no_request_is_refused(client: TestClient, text: bytes) -> None:
    answer = of_json(client, text)
    assert answer.status_code == 400
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("length", ["-1", "many", "1e3", "999999999", "9" * 5000, "", "0", "٣"])
def test_a_length_that_lies_is_refused(client: TestClient, length: str) -> None:
    headers = [(HEADER_LENGTH.encode(), length.encode())]
    answer = client.post(INFER, content=head_of() + RAW, headers=headers)
    assert answer.status_code == 400


def test_a_timeout_may_be_any_whole_number(client: TestClient) -> None:
    answer = send(client, head_of(parameters={"timeout": 10**399}), RAW)
    assert answer.status_code == 200
    assert send(client, head_of(parameters={"timeout": -1}), RAW).status_code == 400


def test_bytes_after_the_last_tensor_are_refused(client: TestClient) -> None:
    assert "1 bytes follow" in send(client, head_of(), RAW + b"x").json()["error"]


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        (b"\x05\0\0", "after the last element"),
        (b"\xff\xff\xff\xffabc", "says 4294967295 bytes, 3 left"),
        (b"\x01\0\0\0a" * 2, "more than the 1 elements"),
        (b"", "0 elements of BYTES"),
    ],
)
def test_elements_that_lie_are_refused(client: TestClient, elements: bytes, said: str) -> None:
    tensor = {"name": "encoded", "datatype": "BYTES", "shape": [1]}
    tensor["parameters"] = {"binary_data_size": len(elements)}
    answer = send(client, head_of(tensor), elements)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_compressed_requests_and_answers(client: TestClient) -> None:
    head = head_of(parameters={"binary_data_output": True})
    plain = depth(send(client, head))
    for coding, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        headers = {
            HEADER_LENGTH: str(len(head)),
            "Content-Encoding": coding,
            "Accept-Encoding": coding,
        }
        answer = client.post(INFER, content=pack(head + RAW), headers=headers)
        assert answer.headers["content-encoding"] == coding
        np.testing.assert_array_equal(depth(answer), plain)
    headers = {HEADER_LENGTH: str(len(head)), "Accept-Encoding": "gzip, deflate, br"}
    answer = client.post(INFER, content=head + RAW, headers=headers)
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("gzip", gzip.compress(bytes(2_000_000)), 413),
        ("deflate", zlib.compress(bytes(2_000_000)), 413),
        ("gzip", gzip.compress(head_of())[:-9], 400),
        ("gzip", gzip.compress(b"{}") + b"more", 400),
        ("gzip", b"no gzip", 400),
        ("deflate", gzip.compress(b"{}"), 400),
        ("br", b"x", 415),
        ("gzip, gzip", b"x", 415),
    ],
    ids=["bomb", "deflate bomb", "cut", "more", "no gzip", "not deflate", "unknown", "twice"],
)
def test_bombs_and_damage_are_refused(
    client: TestClient, service: Service, coding: str, body: bytes, status: int
) -> None:
    answer = client.post(INFER, content=body, headers={"Content-Encoding": coding})
    assert answer.status_code == status
    assert service.bodies.held_bytes == 0


def test_much_json_is_refused() -> None:
    with pytest.raises(RequestError, match="send binary tensor data"):
        json_object(b" " * (MAX_JSON_BYTES + 1), "request")


def test_an_answer_that_is_too_large_is_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.service.v2.infer.MAX_ANSWER_BYTES", 28 * 42 * 4)
    assert send(client, head_of()).status_code == 200
    monkeypatch.setattr("serve.service.v2.infer.MAX_ANSWER_BYTES", 28 * 42 * 4 - 1)
    answer = send(client, head_of())
    assert answer.status_code == 400
    assert "the answer would take" in answer.json()["error"]


def test_many_numbers_of_an_answer_are_no_json(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.service.v2.body.MAX_JSON_VALUES", 28 * 42 - 1)
    answer = send(client, head_of())
    assert answer.status_code == 400
    assert "binary_data" in answer.json()["error"]
