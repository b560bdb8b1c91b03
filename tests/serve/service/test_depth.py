"""POST /v1/depth: bodies, forms, options, formats, errors."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from depth.maps.result import FloatArray
from tests.support.services import PNG, a_service, client_of


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with a_service(max_body_bytes=100_000) as service:
        yield client_of(service)


def depth_of(client: TestClient) -> FloatArray:
    found: FloatArray = np.load(
        io.BytesIO(client.post("/v1/depth?format=npy", content=PNG).content)
    )
    return found


def test_an_image_gives_a_16_bit_png_with_its_meaning(client: TestClient) -> None:
    answer = client.post("/v1/depth", content=PNG)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    codes = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert codes.dtype == np.uint16
    assert codes.shape == (30, 40)
    scale, offset = float(answer.headers["depth-scale"]), float(answer.headers["depth-offset"])
    values = depth_of(client)
    assert np.abs(codes * scale + offset - values).max() <= scale
    low, high = map(float, answer.headers["depth-valid-range"].split())
    assert (low, high) == (values.min(), values.max())
    assert answer.headers["depth-kind"] == "relative_inverse"
    assert json.loads(answer.headers["depth-description"])
    assert "network;dur=" in answer.headers["server-timing"]


def test_json_has_every_float32_in_its_shortest_text(client: TestClient) -> None:
    answer = client.post("/v1/depth", content=PNG, headers={"Accept": "application/json"})
    found = np.array(answer.json()["depth"], np.float64)
    values = depth_of(client)
    assert np.array_equal(found.astype(np.float32), values)
    assert [repr(x) for x in found[3].tolist()] == [str(x) for x in values[3]]
    assert answer.json()["description"] == json.loads(answer.headers["depth-description"])


def test_npz_has_the_map_and_its_description(client: TestClient) -> None:
    answer = client.post("/v1/depth?format=npz", content=PNG)
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as found:
        assert sorted(found) == ["depth", "meta"]
        assert np.array_equal(found["depth"], depth_of(client))
        assert json.loads(str(found["meta"]))


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("exr", b"\x76\x2f\x31\x01"),
        ("tiff", b"II"),
        ("pfm", b"Pf"),
        ("preview", b"\xff\xd8"),
        ("preview&palette=gray", b"\xff\xd8"),
        ("preview&palette=turbo", b"\xff\xd8"),
    ],
)
def test_a_format_may_be_named(client: TestClient, form: str, start: bytes) -> None:
    answer = client.post(f"/v1/depth?format={form}", content=PNG)
    assert answer.status_code == 200
    assert answer.content.startswith(start)


def test_a_form_gives_the_same_as_a_body(client: TestClient) -> None:
    given = {"image": ("../x.png", PNG, "image/png")}
    form = client.post("/v1/depth", files=given, data={"other": "1"})
    assert form.status_code == 200
    assert form.content == client.post("/v1/depth", content=PNG).content


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "expected a file"),
        (b"--b\r\n", "last boundary|expected a file"),
        (b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n--b--', "expected"),
        (b'--b\r\nContent-Disposition: form-data; filename="x"\r\n\r\nx\r\n--b--', '"name"'),
        (b'--b\r\nContent-Disposition: form-data; name="i"; filename="x"\r\n\r\n\r\n--b--', "imag"),
        (b"--b\r\nX: " + b"y" * 20_000 + b"\r\n\r\nx\r\n--b--", "headers of a part"),
        (b"no boundary at all", "multipart"),
        (b"--b\r\nbad header\r\n\r\nx\r\n--b--", "multipart"),
    ],
)
def test_a_bad_form_is_refused(client: TestClient, body: bytes, said: str) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/depth", content=body, headers=kind)
    assert answer.status_code == 400
    assert answer.json()["kind"] == "RequestError"
    assert re.search(said, answer.json()["error"])


def test_two_files_in_a_form_are_refused(client: TestClient) -> None:
    files = [("image", ("a", PNG)), ("image", ("b", PNG))]
    assert client.post("/v1/depth", files=files).status_code == 400


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("unknown=1", {}, 400),
        ("format=png&format=npy", {}, 400),
        ("format=gif", {}, 400),
        ("map=colour", {}, 400),
        ("map=sky", {}, 404),
        ("model=other", {}, 404),
        ("focal_px=nan", {}, 400),
        ("focal_px=-1", {}, 400),
        ("fov_deg=180", {}, 400),
        ("intrinsics=1,2,3", {}, 400),
        ("deadline_s=0", {}, 400),
        ("output_size=large", {}, 400),
        ("", {"Accept": "text/html"}, 406),
        ("", {"Accept": "image/png;q=0"}, 406),
        ("", {"Content-Type": "application/json"}, 415),
        ("", {"Content-Type": "multipart/mixed; boundary=b"}, 415),
        ("", {"Content-Encoding": "gzip"}, 415),
    ],
)
def test_what_is_refused(
    client: TestClient, query: str, headers: dict[str, str], status: int
) -> None:
    answer = client.post(f"/v1/depth?{query}", content=PNG, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "kind"}


@pytest.mark.parametrize("query", ["fov_deg=60", "focal_px=40", "intrinsics=40,40,20,15"])
def test_a_camera_may_be_named(client: TestClient, query: str) -> None:
    assert client.post(f"/v1/depth?{query}", content=PNG).status_code == 200


def test_output_size_model_is_the_size_of_the_network(client: TestClient) -> None:
    answer = client.post("/v1/depth?format=npy&output_size=model", content=PNG)
    assert np.load(io.BytesIO(answer.content)).shape == (28, 42)


@pytest.mark.parametrize("body", [b"", b"GIF89a", PNG[:200]])
def test_what_is_no_image_says_why(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/depth", content=body)
    assert answer.status_code == 400
    assert answer.json()["kind"] == "ImageError"


def test_a_large_body_is_refused_with_and_without_its_length(client: TestClient) -> None:
    large = b"x" * 100_001
    assert client.post("/v1/depth", content=large).status_code == 413
    assert client.post("/v1/depth", content=iter([large])).status_code == 413


def test_a_wrong_method_says_which_are_right(client: TestClient) -> None:
    answer = client.get("/v1/depth")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = client.request("OPTIONS", "/healthz")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_is_get_without_a_body(client: TestClient) -> None:
    answer = client.head("/healthz")
    assert (answer.status_code, answer.content) == (200, b"")


def test_an_unknown_path_is_no_page(client: TestClient) -> None:
    answer = client.get("/v1/nothing")
    assert (answer.status_code, answer.json()["kind"]) == (404, "RequestError")
