"""Models that are loaded, unloaded and exchanged while callers ask them."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from starlette.testclient import TestClient

from depth.artifact.manifest import Artifact
from depth.artifact.program import ProgramKey
from depth.errors import ArtifactError, InputError
from depth.store.catalogue import read_entry
from depth.store.objects import ObjectStore, open_store
from depth.store.promote import promote
from depth.store.push import push
from serve.errors import ClosedError
from serve.jobs.stage import Stage
from serve.library import Library
from serve.service.app import application
from serve.service.model import CLOSED, Model
from serve.service.models import Models, UnknownModelError
from serve.service.service import Service
from serve.service.settings import Settings
from serve.service.sources import Source, source_of
from serve.service.v2.body import HEADER_LENGTH
from serve.service.v2.repository import LoadError, Repository
from tests.support.manifests import CheckpointFacts, made_manifest, written
from tests.support.v2_services import SIZE, depth_of, engine_of, mark_of, model_of, pixels

ALIAS = "demo/openvino/production"
IMAGE = pixels()


def artifact(folder: Path, digit: str) -> Artifact:
    """One of several: they differ in the hash of their weights."""
    facts = CheckpointFacts("demo.safetensors", digit * 64, "Apache-2.0")
    manifest = made_manifest([ProgramKey(*SIZE, 1)], checkpoint=facts)
    return written(folder / digit, manifest, digit.encode())


def make(name: str, library: Library) -> Model:
    return Model(name, Stage(engine_of(library, duration_s=0.002)), 64)


class Place:
    """A store with an alias, and artifacts to promote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store_folder = folder / "store"
        self.store_folder.mkdir()
        self.artifacts = {digit: artifact(folder, digit) for digit in "123"}
        with self.store() as store:
            for each in self.artifacts.values():
                push(store, each)

    @contextmanager
    def store(self) -> Iterator[ObjectStore]:
        with open_store(str(self.store_folder)) as store:
            yield store

    def promote(self, digit: str) -> str:
        with self.store() as store:
            promote(store, read_entry(store, self.artifacts[digit].identity), ALIAS)
        return self.artifacts[digit].identity

    def source(self) -> Source:
        text = f"depth={self.store_folder}#{ALIAS}"
        return source_of(text, self.folder / "kept")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@contextmanager
def a_service(*sources: Source, poll_s: float = 0.0) -> Iterator[Service]:
    models = Models()
    repository = Repository(models, sources, make, poll_s)
    service = Service(models, Settings(model_control=True), repository)
    repository.load_all()
    try:
        yield service
    finally:
        repository.close()
        models.close()


def client_of(service: Service) -> TestClient:
    return TestClient(application(service), base_url="http://localhost")


def ask(client: TestClient) -> tuple[int, str, bool]:
    """Status, artifact, and whether the numbers are that artifact's."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(IMAGE.shape)}
    tensor["parameters"] = {"binary_data_size": IMAGE.nbytes}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    answer = client.post(
        "/v2/models/depth/infer",
        content=head + IMAGE.tobytes(),
        headers={HEADER_LENGTH: str(len(head))},
    )
    if answer.status_code != 200:
        return answer.status_code, "", True
    length = int(answer.headers[HEADER_LENGTH])
    identity = json.loads(answer.content[:length])["parameters"]["artifact"]
    values = np.frombuffer(answer.content[length:], "<f4").reshape(1, *SIZE)
    return 200, identity, bool(np.allclose(values, depth_of(IMAGE, mark_of(identity)), atol=1e-2))


class Load:
    """Callers that ask all the time, and what they got."""

    def __init__(self, service: Service, callers: int = 4) -> None:
        self.answers: list[tuple[int, str, bool]] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=[client_of(service)]) for _ in range(callers)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Until so many more answers have come."""
        goal = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= goal)

    def _run(self, client: TestClient) -> None:
        while not self._stop.is_set():
            self.answers.append(ask(client))


def wait_until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_model_follows_its_alias_under_load(place: Place) -> None:
    first = place.promote("1")
    with a_service(place.source(), poll_s=0.02) as service, Load(service) as load:
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
    with a_service(place.source()) as service, Load(service) as load:
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
    with a_service(place.source()) as service, Load(service) as load:
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
    with a_service(place.source()) as service:
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
    with a_service(place.source()) as service, Load(service, 3) as load:
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
    with a_service(place.source()) as service:
        (place.store_folder / "aliases" / f"{ALIAS}.json").unlink()
        service.repository.poll()
        assert "there is no alias" in service.repository.state("depth")[1]
        assert service.status == "ready"


def test_an_alias_of_changed_figures_is_refused(place: Place) -> None:
    identity = place.promote("1")
    path = place.store_folder / "aliases" / f"{ALIAS}.json"
    with a_service(place.source()) as service:
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


def test_only_named_models_can_be_loaded(place: Place) -> None:
    place.promote("1")
    with a_service(place.source()) as service:
        client = client_of(service)
        for name in ("other", "%2Fetc", "..%2Fdepth"):
            assert client.post(f"/v2/repository/models/{name}/load").status_code == 404
            assert client.post(f"/v2/repository/models/{name}/unload").status_code == 404
        for parameters in ({"config": "{}"}, {"file:1/model": "AAAA"}, [1], "x"):
            answer = client.post(
                "/v2/repository/models/depth/load", json={"parameters": parameters}
            )
            assert answer.status_code == 400
        with pytest.raises(UnknownModelError):
            service.repository.state("other")


def test_a_folder_is_a_source_too(tmp_path: Path) -> None:
    one, two = artifact(tmp_path, "1"), artifact(tmp_path, "2")
    link = tmp_path / "link"
    link.symlink_to(one.folder)
    with a_service(source_of(f"depth={link}")) as service:
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
