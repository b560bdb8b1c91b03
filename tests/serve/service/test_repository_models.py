"""What may be loaded, from where, and models that open and close."""

from __future__ import annotations

from pathlib import Path

import pytest

from depth.errors import InputError
from serve.errors import ClosedError
from serve.service.model import CLOSED
from serve.service.models import Models, UnknownModelError
from serve.service.sources import source_of
from serve.service.v2.repository import Repository
from tests.support.v2_places import (
    Place,
    an_artifact,
    client_of,
    following,
    wait_until,
)
from tests.support.v2_services import model_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_only_named_models_can_be_loaded(place: Place) -> None:
    place.promote("1")
    with following(place.source()) as service:
        client = client_of(service)
        for name in ("other", "%2Fetc", "..%2Fdepth"):
            assert client.post(f"/v2/repository/models/{name}/load").status_code == 404
            assert client.post(f"/v2/repository/models/{name}/unload").status_code == 404
        for parameters in (
            {"config": "{}"},
            {"file:1/model": "AAAA"},
            {"unload_dependents": True},
            {"unload_dependents": 0},
            [1],
            "x",
            None,
        ):
            answer = client.post(
                "/v2/repository/models/depth/load", json={"parameters": parameters}
            )
            assert answer.status_code == 400
        with pytest.raises(UnknownModelError):
            service.repository.state("other")


def test_a_folder_is_a_source_too(tmp_path: Path) -> None:
    one, two = an_artifact(tmp_path, "1"), an_artifact(tmp_path, "2")
    link = tmp_path / "link"
    link.symlink_to(one.folder)
    with following(source_of(f"depth={link}")) as service:
        model = service.models.find("depth")
        service.repository.load("depth")
        assert service.models.find("depth") is model, "nothing has changed"
        link.unlink()
        link.symlink_to(two.folder)
        service.repository.poll()
        assert service.models.find("depth") is model, "only aliases are watched"
        service.repository.load("depth")
        assert service.models.find("depth").identity == two.identity


@pytest.mark.parametrize(
    "text",
    [
        "depth",
        "=folder",
        "depth=",
        "a/b=folder",
        "../x=folder",
        "depth=#a/b",
        "depth=store#",
        "depth=store#production",
        "depth=s3://bucket",
    ],
)
def test_texts_that_name_no_source_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--model"):
        source_of(text)


def test_a_model_that_is_closed_while_it_loads_never_answers() -> None:
    model = model_of()
    warmed_up = model.stage.warm_up
    model.stage.warm_up = lambda *_: (warmed_up(), model.close())  # type: ignore
    with pytest.raises(ClosedError):
        model.warm_up()
    assert model.state == CLOSED
    with pytest.raises(ClosedError):
        model.submit(lambda: 1)


def test_models_take_no_model_after_they_are_closed() -> None:
    models, model = Models(), model_of()
    models.close()
    with pytest.raises(ClosedError):
        models.put(model)
    model.close()


def test_a_model_in_use_closes_when_its_last_user_is_done() -> None:
    models, old, new = Models(), model_of("a"), model_of("a")
    for model in (old, new):
        model.warm_up()
    models.put(old)
    with models.use("a") as first, models.use("a") as second:
        models.put(new)
        assert first is second is old
        assert old.submit(lambda: 7).result() == 7
        models.put(new)  # again: it stays
        assert models.find("a") is new
    wait_until(lambda: old.state == CLOSED)
    assert new.ready
    models.close()


def test_poll_s_has_limits() -> None:
    with pytest.raises(InputError, match="poll_s"):
        Repository(Models(), poll_s=-1)
