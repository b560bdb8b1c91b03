"""Models that are loaded, unloaded and exchanged while callers ask them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from depth.errors import ArtifactError
from serve.library import Library
from serve.service.model import CLOSED, Model
from serve.service.models import Models
from serve.service.v2.repository import LoadError, Repository
from tests.support.v2_places import (
    ALIAS,
    Load,
    Place,
    ask,
    client_of,
    following,
    make,
    wait_until,
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_model_follows_its_alias_under_load(place: Place) -> None:
    first = place.promote("1")
    with following(place.source(), poll_s=0.02) as service, Load(service) as load:
        load.wait_for(8)
        second = place.promote("2")
        wait_until(lambda: load.answers[-1][1] == second)
        load.wait_for(8)
        place.promote("1")
        wait_until(lambda: load.answers[-1][1] == first)
    assert {status for status, _, _ in load.answers} == {200}
    assert all(right for _, _, right in load.answers)
    assert set(Counter(identity for _, identity, _ in load.answers)) == {first, second}


def test_loading_by_a_caller_under_load(place: Place) -> None:
    first = place.promote("1")
    with following(place.source()) as service, Load(service) as load:
        client = client_of(service)
        load.wait_for(6)
        second = place.promote("2")
        assert client.post("/v2/repository/models/depth/load").status_code == 200
        assert ask(client)[1] == second
        load.wait_for(6)
    assert {status for status, _, _ in load.answers} == {200}
    assert all(right for _, _, right in load.answers)
    assert {identity for _, identity, _ in load.answers} == {first, second}


def test_unloading_under_load(place: Place) -> None:
    place.promote("1")
    with following(place.source()) as service, Load(service) as load:
        client = client_of(service)
        load.wait_for(6)
        answer = client.post(
            "/v2/repository/models/depth/unload", json={"parameters": {"unload_dependents": False}}
        )
        assert answer.status_code == 200
        load.wait_for(6)
        assert client.post("/v2/repository/models/depth/load", json={}).status_code == 200
        wait_until(lambda: load.answers[-1][0] == 200)
    assert {status for status, _, _ in load.answers} == {200, 404}
    assert all(right for _, _, right in load.answers)


def test_what_was_unloaded_stays_unloaded(place: Place) -> None:
    place.promote("1")
    with following(place.source()) as service:
        client = client_of(service)
        service.repository.unload("depth")
        place.promote("2")
        service.repository.poll()
        row = {"name": "depth", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}
        assert client.post("/v2/repository/index").json() == [row]
        assert client.post("/v2/repository/index", json={"ready": True}).json() == []
        assert client.get("/v1/models").json()["models"] == [
            {"name": "depth", "state": "unavailable", "reason": "unloaded"}
        ]
        assert client.get("/v2/models/depth/ready").status_code == 404
        service.repository.unload("depth")  # again: nothing happens
        service.repository.load("depth")
        assert client.get("/v2/models/depth/ready").status_code == 200
        assert client.post("/v2/repository/index").json()[0]["state"] == "READY"


def damage(place: Place, digit: str) -> None:
    """Another byte in the store's copy of a program."""
    (file,) = place.artifacts[digit].manifest.programs[0].files
    path = place.store_folder / "objects" / file.sha256
    path.chmod(0o600)
    path.write_bytes(b"x" * file.size_bytes)


def test_a_damaged_artifact_leaves_the_earlier_model(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    first = place.promote("1")
    with following(place.source()) as service, Load(service, 3) as load:
        client = client_of(service)
        damage(place, "2")
        place.promote("2")
        for _ in range(3):
            service.repository.poll()
        load.wait_for(6)
        (row,) = client.post("/v2/repository/index").json()
        assert row["state"] == "READY"
        assert "is not what its name says" in row["reason"]
        (about,) = client.get("/v1/models").json()["models"]
        assert (about["state"], about["artifact"]) == ("ready", first)
        assert about["reason"] == row["reason"]
        said = [each for each in caplog.messages if "the model before it still answers" in each]
        assert len(said) == 1
        answer = client.post("/v2/repository/models/depth/load")
        assert answer.status_code == 503
        assert answer.json()["error"].startswith("failed to load depth: ")
        third = place.promote("3")
        service.repository.load("depth")
        assert ask(client)[1] == third
        assert client.post("/v2/repository/index").json()[0]["reason"] == ""
    assert {status for status, _, _ in load.answers} == {200}
    assert {identity for _, identity, _ in load.answers} <= {first, third}


def test_an_alias_that_is_gone_leaves_the_model(place: Place) -> None:
    place.promote("1")
    with following(place.source()) as service:
        (place.store_folder / "aliases" / f"{ALIAS}.json").unlink()
        service.repository.poll()
        assert "there is no alias" in service.repository.state("depth")[1]
        assert service.status == "ready"


def test_an_alias_of_changed_figures_is_refused(place: Place) -> None:
    identity = place.promote("1")
    path = place.store_folder / "aliases" / f"{ALIAS}.json"
    with following(place.source()) as service:
        sha256 = place.artifacts["1"].manifest_sha256
        path.write_text(path.read_text().replace(sha256, "f" * 64))
        service.repository.poll()
        assert "manifest" in service.repository.state("depth")[1]
        assert service.models.find("depth").identity == identity


def test_a_model_that_must_not_be_served_is_refused(place: Place) -> None:
    place.promote("1")
    failing: list[str] = []

    def fails(name: str, library: Library) -> Model:
        model = make(name, library)
        if failing:
            model.stage.warm_up = _fails  # type: ignore[method-assign]
        return model

    models = Models()
    repository = Repository(models, [place.source()], fails)
    repository.load_all()
    before = models.find("depth")
    place.promote("2")
    failing.append("yes")
    with pytest.raises(LoadError, match="does not fit"):
        repository.load("depth")
    assert models.find("depth") is before
    assert before.ready
    models.close()
    assert before.state == CLOSED


def _fails(*_sizes: Any) -> None:
    raise ArtifactError("it does not fit this device")


def test_a_first_load_that_fails_is_raised(place: Place) -> None:
    repository = Repository(Models(), [place.source()], make)
    assert repository.starting
    with pytest.raises(Exception, match="there is no alias"):
        repository.load_all()
    assert repository.starting


def test_loads_at_once_are_one_load(place: Place) -> None:
    place.promote("1")
    made = Counter[str]()

    def counted(name: str, library: Library) -> Model:
        made[library.any_artifact().identity] += 1
        time.sleep(0.05)
        return make(name, library)

    models = Models()
    repository = Repository(models, [place.source()], counted)
    repository.load_all()
    second = place.promote("2")
    threads = [threading.Thread(target=repository.load, args=["depth"]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made[second] == 1
    assert models.find("depth").identity == second
    models.close()
