"""POST /v1/depth: a surface or points, which state the camera."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.support.exported import read_glb, read_ply
from tests.support.hostile import encoded, picture
from tests.support.services import PNG, a_service, client_of

_FOCAL_35MM = 0xA405


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with a_service() as service:
        yield client_of(service)


def test_a_surface_states_an_assumed_camera(client: TestClient) -> None:
    answer = client.post("/v1/depth?format=glb", content=PNG)
    assert answer.headers["content-type"] == "model/gltf-binary"
    field = read_glb(answer.content)[0]["asset"]["extras"]["field_of_view"]
    assert (field["assumed"], field["horizontal_deg"]) == (True, 60.0)
    assert field["image_px"] == [40, 30]


def test_points_state_the_camera_of_the_query(client: TestClient) -> None:
    headers = {"Accept": "application/x-ply"}
    answer = client.post("/v1/depth?fov_deg=50", content=PNG, headers=headers)
    comments, rows = read_ply(answer.content)
    assert comments["field_of_view.assumed"] is False
    assert comments["field_of_view.horizontal_deg"] == 50.0
    assert rows


def test_the_camera_of_the_file_is_known(client: TestClient) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[_FOCAL_35MM] = 28
    data = encoded(picture(30, 40), "JPEG", exif=exif)
    assert Image.open(io.BytesIO(data)).getexif().get_ifd(0x8769)
    answer = client.post("/v1/depth?format=glb", content=data)
    field = read_glb(answer.content)[0]["asset"]["extras"]["field_of_view"]
    assert (field["assumed"], field["source"]) == (False, "exif")


def test_depth_without_a_surface_is_refused(client: TestClient) -> None:
    line = encoded(picture(1, 40), "PNG")
    answer = client.post("/v1/depth?format=glb", content=line)
    assert answer.status_code == 400
    assert "no surface is left" in answer.json()["error"]
