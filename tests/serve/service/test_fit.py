"""POST /v1/depth with measured points in the form."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.support.services import PNG, a_service, client_of


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with a_service() as service:
        yield client_of(service)


def post(client: TestClient, points: str):
    files, data = {"image": ("a.png", PNG)}, {"points": points}
    return client.post("/v1/depth?format=npy", files=files, data=data)


def test_depth_is_moved_onto_the_points(client: TestClient) -> None:
    plain = np.load(io.BytesIO(client.post("/v1/depth?format=npy", content=PNG).content))
    rng = np.random.default_rng(0)
    y, x = (rng.integers(0, side, 60) for side in plain.shape)
    depth = 1 / (0.3 * plain[y, x].astype(np.float64) + 0.1)
    points = np.stack([x, y, depth], 1).tolist()
    points[:10] = [[x, y, 5.0] for x, y, _ in points[:10]]
    answer = post(client, json.dumps(points))
    assert answer.status_code == 200
    assert (answer.headers["depth-kind"], answer.headers["depth-unit"]) == ("metres", "m")
    assert np.load(io.BytesIO(answer.content)) == pytest.approx(1 / (0.3 * plain + 0.1), rel=1e-3)
    fit = json.loads(answer.headers["depth-description"])["fit"]
    assert fit["scale"] == pytest.approx(0.3, rel=1e-3)
    assert (fit["source"], fit["points"]) == ("points", 60)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ("", "expected JSON"),
        ("{}", "expected [N,3]"),
        ("null", "expected [N,3]"),
        ("[[1, 2, 3], [4, 5]]", "expected JSON"),
        ('[[1, 2, "x"]]', "expected JSON"),
        ("[" * 5000, "expected JSON"),
        ("[[1, 2, NaN]]", "expected finite px"),
        ("[[1, 2, 3]]", "1 points: a fit by scale_shift needs at least 8"),
        ("[[1, 200, 3]]", "is outside of"),
    ],
    ids=lambda value: value[:12],
)
def test_points_that_support_no_fit_are_the_callers_error(
    client: TestClient, points: str, said: str
) -> None:
    answer = post(client, points)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
