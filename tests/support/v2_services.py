"""Services of the Open Inference Protocol on free ports, over a network that is made up.

The network says which artifact made a map: its values are the simulated depth, plus the number that
`mark_of` gives the artifact.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np
import numpy.typing as npt
import uvicorn

from depth.artifact.manifest import Artifact, Manifest
from depth.artifact.program import Program, ProgramKey
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.backend import Backend, ProgramWorker
from serve.engine import Engine
from serve.jobs.stage import Stage
from serve.library import Library
from serve.service.app import application
from serve.service.model import Model
from serve.service.models import Models
from serve.service.service import Service
from serve.service.settings import Settings
from serve.service.v2.door import GrpcDoor
from serve.service.v2.repository import Repository
from serve.shapes import BUCKETS
from tests.support.manifests import made_artifact, made_manifest
from tests.support.simulated import simulated_depth

SIZE = (28, 42)  # (height, width) px of the program
Pixels = npt.NDArray[np.uint8]


def mark_of(identity: str) -> float:
    """A number of an artifact, exact in float32."""
    return float(int(identity[:4] or "0", 16))


@dataclass
class Marked:
    """A program: the simulated depth plus the artifact's mark, and sky where the model has it."""

    artifact: Artifact
    stages: Sequence[Program]
    duration_s: float = 0.0
    marks: bool = True
    on_run: Callable[[], object] = lambda: None

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        self.on_run()
        time.sleep(self.duration_s)
        mark = np.float32(mark_of(self.artifact.identity) * self.marks)
        depth = simulated_depth(arrays["images"]) + mark
        made = {"depth": depth, "sky": np.zeros_like(depth)}
        return {output.name: made[output.name] for output in self.artifact.manifest.outputs}


def engine_of(library: Library, **program: Any) -> Engine:
    """Two cores that run `Marked` programs of a library."""

    def worker(_core: int = 0) -> ProgramWorker:
        return ProgramWorker(lambda key: Marked(*library.stages[key], **program))

    def backend(_library: Library, _images: int) -> Backend:
        return Backend([worker(), worker()], None, images_at_once=4, shared=True)

    return Engine(library, BUCKETS, backend=backend)


def model_of(
    name: str = "depth", manifest: Optional[Manifest] = None, queue: int = 32, **program: Any
) -> Model:
    """A model of one program, not warmed up."""
    found = manifest or made_manifest([ProgramKey(*SIZE, 1)])
    engine = engine_of(Library([made_artifact(found)]), **program)
    return Model(name, Stage(engine), queue)


@dataclass
class Address:
    """Where a service answers, as tritonclient wants it."""

    service: Service
    http: str
    grpc: str


@contextmanager
def serving(
    *models: Model, repository: Optional[Repository] = None, **settings: Any
) -> Iterator[Address]:
    """A service with these models on free ports, HTTP and gRPC, until the block ends."""
    held = Models() if repository is None else repository._models
    service = Service(held, Settings(port=0, grpc_port=0, **settings), repository)
    for model in models:
        held.put(model)
        model.warm_up()
    service.repository.load_all()
    calls = GrpcDoor(service)
    config = uvicorn.Config(
        application(service), port=0, log_config=None, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Address(service, f"127.0.0.1:{port}", f"127.0.0.1:{calls.port}")
    finally:
        calls.close()
        server.should_exit = True
        thread.join()
        service.repository.close()
        held.close()


def pixels(seed: int = 0, count: int = 1, size: tuple[int, int] = SIZE) -> Pixels:
    """uint8 [count,H,W,3] RGB: images that are all different."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, *size, 3), dtype=np.uint8)


def ppm(image: Pixels) -> bytes:
    """An image file of uint8 [H,W,3] RGB, without any loss."""
    height, width = image.shape[:2]
    return b"P6\n%d %d\n255\n" % (width, height) + image.tobytes()


def depth_of(images: Pixels, mark: float = 0.0) -> FloatArray:
    """What `Marked` makes of images of `SIZE`: float32 [count,H,W]."""
    scaled = images.astype(np.float64) / 255
    normal = (scaled - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    found: FloatArray = normal.astype(np.float32).transpose(0, 3, 1, 2)
    return simulated_depth(found) + np.float32(mark)
