"""POST /v1/depth?preset=: every preset once, and what is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from depth.artifact.manifest import Manifest
from depth.artifact.program import ProgramKey
from depth.maps.result import FloatArray
from depth.presets.encode import MEDIA_TYPES
from depth.presets.names import PRESET_NAMES
from depth.presets.table import PRESETS
from serve.jobs.stage import Stage
from serve.service.model import Model
from serve.service.service import Service
from tests.serve.folder.test_schema import engine_of
from tests.support.hostile import encoded, picture
from tests.support.manifests import METRIC_OUTPUTS, made_manifest, sky_manifest
from tests.support.services import a_service, client_of

KEY = ProgramKey(56, 56, 1)
PNG = encoded(picture(40, 50), "PNG")
SHAPE = (40, 50)
NEED_METRES = [name for name in PRESET_NAMES if "relative_inverse" not in PRESETS[name].kinds]


def add(service: Service, name: str, manifest: Manifest) -> None:
    model = Model(name, Stage(engine_of(manifest)), 8)
    service.models.put(model)
    model.warm_up()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """A service with relative depth (`toy`), metres (`metric`), and metres by focal length."""
    with a_service() as service:
        add(service, "metric", made_manifest([KEY], outputs=METRIC_OUTPUTS))
        add(service, "focal", sky_manifest([KEY]))
        yield client_of(service)


def metres(client: TestClient) -> FloatArray:
    answer = client.post("/v1/depth?model=metric&format=npy", content=PNG)
    found: FloatArray = np.load(io.BytesIO(answer.content))
    return found


def stored_in(data: bytes, container: str) -> np.ndarray:
    """The stored numbers [H,W] of a depth file."""
    if container in ("png", "tiff"):
        read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert read is not None
        return read
    if container == "exr":
        import OpenEXR

        with OpenEXR.File(io.BytesIO(data), separate_channels=True) as image:
            return np.array(image.channels()["Y"].pixels)
    if container == "image":
        return np.load(io.BytesIO(data))[0, :, :, 0]
    if container == "sp3d":
        said = json.loads(data)
        return np.reshape(said["depth"], (said["height"], said["width"]))
    pixels = np.frombuffer(data[-4 * SHAPE[0] * SHAPE[1] :], "<f4").reshape(SHAPE)
    return np.flipud(pixels) if container == "pfm" else pixels


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_every_preset_is_the_depth_file_of_its_tool(client: TestClient, name: str) -> None:
    row = PRESETS[name]
    answer = client.post(f"/v1/depth?model=metric&preset={name}", content=PNG)
    assert answer.status_code == 200, answer.text
    said = answer.headers
    assert said["content-type"] == MEDIA_TYPES[row.container]
    assert (said["depth-preset"], said["depth-holds"]) == (name, row.holds)
    assert (said["depth-invalid-px"], said["depth-beyond-px"]) == ("0", "0")
    scale, offset = float(said["depth-scale"]), float(said["depth-offset"])
    read = stored_in(answer.content, row.container).astype(np.float64) * scale + offset
    depth = metres(client).astype(np.float64)
    inverse = 1 / depth
    nearness = (depth.max() - depth) / (depth.max() - depth.min())
    expected = {"inverse": inverse, "nearness": nearness}.get(row.holds, depth)
    assert read.shape == SHAPE
    assert np.abs(read - expected).max() <= (0.51 * scale if row.dtype == "uint16" else 1e-6)


@pytest.mark.parametrize("name", NEED_METRES)
def test_relative_depth_is_refused_where_a_tool_needs_metres(client: TestClient, name: str) -> None:
    answer = client.post(f"/v1/depth?model=toy&preset={name}", content=PNG)
    assert answer.status_code == 400
    assert "gives relative_inverse, which is no metres" in answer.text
    assert "--fit" in answer.text


def test_depth_that_lacks_a_focal_length_is_refused_until_it_is_given(client: TestClient) -> None:
    refused = client.post("/v1/depth?model=focal&preset=kitti", content=PNG)
    assert refused.status_code == 400
    assert "focal length is missing" in refused.text
    answer = client.post("/v1/depth?model=focal&preset=kitti&focal_px=70", content=PNG)
    assert (answer.status_code, answer.headers["depth-kind"]) == (200, "metres")


@pytest.mark.parametrize(
    ("query", "code", "reason"),
    [
        ("preset=kity", 400, "3dgs"),
        ("preset=cube-faces", 400, "3dgs"),
        ("preset=kitti&format=png", 400, "leave format"),
        ("preset=kitti&palette=gray", 400, "leave format"),
        ("preset=kitti&map=sky", 400, "leave format"),
        ("preset=kitti&model=none", 404, "none"),
    ],
)
def test_mistakes_are_answered_with_the_reason(
    client: TestClient, query: str, code: int, reason: str
) -> None:
    answer = client.post(f"/v1/depth?{query}", content=PNG)
    assert answer.status_code == code, answer.text
    assert reason in answer.text
