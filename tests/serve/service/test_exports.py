"""POST /v1/depth: a surface or points, which state the camera."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Response
from PIL import Image
from starlette.testclient import TestClient

from serve.service.routes.page import FOLDER as PAGE
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
    assert fov_of(client.post("/v1/depth", content=data)) == (field["horizontal_deg"], "exif")
    asked = client.post("/v1/depth?fov_deg=50", content=data)
    assert fov_of(asked) == (50.0, "fov_deg")
    assert fov_of(client.post("/v1/depth", content=PNG)) == (60.0, "assumed")


def fov_of(answer: Response) -> tuple[float, str]:
    """What every answer says of the camera, whatever its format."""
    headers = answer.headers
    return float(headers["Depth-Fov-Deg"]), headers["Depth-Fov-Source"]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_page_shows_the_camera_that_the_service_names(tmp_path: Path) -> None:
    for module in PAGE.glob("*.js"):
        shutil.copy(module, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shown = (
        "import { fovOf } from './api.js'; import { fieldOfView } from './facts.js';"
        "const headers = new Headers(JSON.parse(process.argv[1]));"
        "process.stdout.write(JSON.stringify(fieldOfView({ fov: fovOf(headers) })));"
    )
    for source, words in (("exif", "from the image's EXIF"), ("assumed", "assumed")):
        headers = json.dumps({"Depth-Fov-Deg": "65.5", "Depth-Fov-Source": source})
        command = ["node", "--input-type=module", "-e", shown, headers]
        found = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert json.loads(found.stdout or "null") == [65.5, words], found.stderr


def test_depth_without_a_surface_is_refused(client: TestClient) -> None:
    line = encoded(picture(1, 40), "PNG")
    answer = client.post("/v1/depth?format=glb", content=line)
    assert answer.status_code == 400
    assert "no surface is left" in answer.json()["error"]
