"""The command `serve http` with a model of scenes, and loading that goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from depth.errors import ArtifactError, InputError
from serve.service.cli import HttpOptions
from serve.service.models import Models
from serve.service.scenes.backend import Backend
from serve.service.scenes.model import SceneModel
from serve.service.service import Service
from serve.service.settings import Settings
from tests.support.scene_services import Fake
from tests.support.services import client_of

NOTHING = {field: None for field in ("model", "scenes", "gallery")}


def options(**given: object) -> HttpOptions:
    return HttpOptions(**{**NOTHING, "policy": "exact", "allow_unverified": False, **given})  # type: ignore[arg-type]


def test_a_gallery_needs_a_model_of_scenes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--gallery needs --scenes"):
        options(gallery=tmp_path).backend(alone=True)
    assert options().backend(alone=True) is None


def test_a_service_has_scenes_or_another_model() -> None:
    with pytest.raises(InputError, match="no model"):
        options().sources([])
    assert options(scenes=[Path("a")]).sources([]) == []


def test_the_model_is_loaded_before_the_service_is_ready(tmp_path: Path) -> None:
    model = SceneModel(Fake, "fake")
    service = Service(Models(), Settings(), backend=Backend(tmp_path, model, first=True))
    client = client_of(service)
    assert client.get("/readyz").json() == {"status": "loading"}
    service.start()
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/status").json()["model_loaded"] is True
    service.close()
    assert not model.loaded


def test_an_artifact_that_is_none_ends_the_start(tmp_path: Path) -> None:
    backend = options(scenes=[tmp_path / "nothing"], scenes_root=tmp_path).backend(alone=True)
    assert backend is not None
    with pytest.raises(ArtifactError):
        backend.start()
    backend.close()


def test_a_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for root in (tmp_path / "nothing", Path(__file__)):
        with pytest.raises(InputError, match="folder"):
            Backend(root, SceneModel(Fake, "fake"))


def test_two_services_do_not_share_a_root(tmp_path: Path) -> None:
    backend = Backend(tmp_path, SceneModel(Fake, "fake"))
    with pytest.raises(InputError, match="another service"):
        Backend(tmp_path, SceneModel(Fake, "fake"))
    backend.close()
