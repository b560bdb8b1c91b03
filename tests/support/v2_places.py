"""A store with an alias, a service that follows the alias, and callers that ask it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
from starlette.testclient import TestClient

from depth.artifact.manifest import Artifact
from depth.artifact.program import ProgramKey
from depth.maps.result import FloatArray
from depth.store.catalogue import read_entry
from depth.store.objects import ObjectStore, open_store
from depth.store.promote import promote
from depth.store.push import push
from serve.jobs.stage import Stage
from serve.library import Library
from serve.service.app import application
from serve.service.model import Model
from serve.service.models import Models
from serve.service.service import Service
from serve.service.settings import Settings
from serve.service.sources import Source, source_of
from serve.service.v2.body import HEADER_LENGTH
from serve.service.v2.repository import Repository
from tests.support.manifests import CheckpointFacts, made_manifest, written
from tests.support.v2_services import SIZE, depth_of, engine_of, mark_of, pixels

# Of a request: status, artifact, and whether the numbers are that artifact's.
Answered = tuple[int, str, bool]
Asking = Callable[[], Answered]
ALIAS = "demo/openvino/production"
IMAGE = pixels()


def an_artifact(folder: Path, digit: str) -> Artifact:
    """One of several: they differ in the hash of their weights."""
    facts = CheckpointFacts("demo.safetensors", digit * 64, "Apache-2.0")
    manifest = made_manifest([ProgramKey(*SIZE, 1)], checkpoint=facts)
    return written(folder / digit, manifest, digit.encode())


def make(name: str, library: Library) -> Model:
    return Model(name, Stage(engine_of(library, duration_s=0.002)), 64)


class Place:
    """A store with an alias, and artifacts to promote. By default the store is a folder."""

    def __init__(self, folder: Path, location: str = "", endpoint_url: str = "") -> None:
        self.folder = folder
        self.store_folder = folder / "store"
        self.store_folder.mkdir()
        self._location = location or str(self.store_folder)
        self._endpoint_url = endpoint_url or None
        self.artifacts = {digit: an_artifact(folder, digit) for digit in "123"}
        with self.store() as store:
            for each in self.artifacts.values():
                push(store, each)

    @contextmanager
    def store(self) -> Iterator[ObjectStore]:
        with open_store(self._location, self._endpoint_url) as store:
            yield store

    def promote(self, digit: str) -> str:
        with self.store() as store:
            promote(store, read_entry(store, self.artifacts[digit].identity), ALIAS)
        return self.artifacts[digit].identity

    def source(self) -> Source:
        text = f"depth={self._location}#{ALIAS}"
        return source_of(text, self.folder / "kept", self._endpoint_url)


@contextmanager
def following(*sources: Source, poll_s: float = 0.0, **settings: Any) -> Iterator[Service]:
    models = Models()
    repository = Repository(models, sources, make, poll_s)
    service = Service(models, Settings(model_control=True, **settings), repository)
    repository.load_all()
    try:
        yield service
    finally:
        repository.close()
        models.close()


def client_of(service: Service) -> TestClient:
    return TestClient(application(service), base_url="http://localhost")


def ask(client: TestClient) -> Answered:
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
    return 200, identity, is_of(values, identity)


def is_of(values: FloatArray, identity: str) -> bool:
    """Whether an artifact makes these numbers of IMAGE."""
    return bool(np.allclose(values, depth_of(IMAGE, mark_of(identity)), atol=1e-2))


class Load:
    """Callers that ask all the time, and what they got.

    asking  makes what a caller asks with; by default over HTTP
    """

    def __init__(
        self, service: Service, callers: int = 4, asking: Optional[Callable[[], Asking]] = None
    ) -> None:
        self.answers: list[Answered] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=[(asking or over_http(service))()])
            for _ in range(callers)
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
        """Wait for this number of further answers."""
        goal = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= goal)

    def _run(self, ask: Asking) -> None:
        while not self._stop.is_set():
            self.answers.append(ask())


def over_http(service: Service) -> Callable[[], Asking]:
    return lambda: partial(ask, client_of(service))


def wait_until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
