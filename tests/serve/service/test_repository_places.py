"""Models that follow an alias under load: over gRPC, and in a store on S3."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import pytest

from serve.service.v2.door import GrpcDoor
from tests.support import s3_server
from tests.support.v2_places import (
    IMAGE,
    Answered,
    Asking,
    Load,
    Place,
    following,
    is_of,
    wait_until,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tritonclient.grpc as over_grpc
    from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.filterwarnings("ignore")


def caller_of(address: str) -> Asking:
    """Asks over gRPC; the status is that of HTTP."""
    client = over_grpc.InferenceServerClient(address)
    image = over_grpc.InferInput("image", list(IMAGE.shape), "UINT8")
    image.set_data_from_numpy(IMAGE)

    def ask() -> Answered:
        try:
            result = client.infer("depth", [image])
        except InferenceServerException as error:
            return (404 if "NOT_FOUND" in str(error.status()) else 500), "", True
        identity = result.get_response().parameters["artifact"].string_param
        return 200, identity, is_of(result.as_numpy("depth"), identity)

    return ask


def follows(place: Place, load: Load) -> None:
    """Move the alias twice while callers ask."""
    first = load.answers[0][1]
    load.wait_for(8)
    second = place.promote("2")
    wait_until(lambda: load.answers[-1][1] == second)
    load.wait_for(8)
    place.promote("1")
    wait_until(lambda: load.answers[-1][1] == first)


def check(load: Load) -> None:
    assert {status for status, _, _ in load.answers} == {200}
    assert all(right for _, _, right in load.answers)
    assert len(Counter(identity for _, identity, _ in load.answers)) == 2


def test_a_model_follows_its_alias_under_load_over_grpc(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.promote("1")
    with following(place.source(), poll_s=0.02, grpc_port=0) as service:
        door = GrpcDoor(service)
        address = f"127.0.0.1:{door.port}"
        with Load(service, asking=lambda: caller_of(address)) as load:
            load.wait_for(1)
            follows(place, load)
            client = over_grpc.InferenceServerClient(address)
            client.unload_model("depth")
            wait_until(lambda: load.answers[-1][0] == 404)  # calls under way still get their depth
            unloaded = len(load.answers)
            client.load_model("depth")
            wait_until(lambda: load.answers[-1][0] == 200)
        door.close()
    assert {status for status, _, _ in load.answers[unloaded:]} == {200, 404}
    load.answers = [each for each in load.answers if each[0] != 404]
    check(load)


@pytest.mark.long
def test_a_model_follows_its_alias_in_s3_under_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.settings(monkeypatch)
    place = Place(tmp_path, s3_server.location(), s3_server.running().url)
    place.promote("1")
    with following(place.source(), poll_s=0.1) as service, Load(service) as load:
        load.wait_for(1)
        follows(place, load)
    check(load)
    assert not list(place.store_folder.iterdir()), "nothing came from a folder"
