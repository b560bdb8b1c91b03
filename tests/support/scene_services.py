"""Services whose scenes are small and known, made without a network.

As a script it runs such a service until a signal, and writes its URL to stderr:

    python -m tests.support.scene_services ROOT SECONDS_PER_VIEW [GALLERY]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from depth.images.given import Given
from depth.images.read import ImageFile, decode
from depth.scenes.names import names_of
from depth.scenes.scene import Scene
from serve.scenes.asked import GivenUp, OnStep, SceneAsked
from serve.service.models import Models
from serve.service.scenes.backend import Backend
from serve.service.scenes.model import SceneModel
from serve.service.scenes.run import run_backend
from serve.service.service import Service
from serve.service.settings import Settings
from tests.support.depth_samples import MADE_BY

HEIGHT, WIDTH = 24, 32


class Fake:
    """Makes a scene of a wall, 2 m away, whose colours are those of the images.

    seconds  that each view takes
    error    is raised instead
    asked    what was asked last
    """

    def __init__(self, seconds: float = 0.0, error: Optional[Exception] = None) -> None:
        self.seconds = seconds
        self.error = error
        self.asked: Optional[SceneAsked] = None
        self.closed = False

    def __call__(
        self,
        images: Sequence[Given],
        asked: SceneAsked,
        on_step: Optional[OnStep] = None,
        given_up: Optional[GivenUp] = None,
    ) -> Scene:
        self.asked = asked
        if self.error is not None:
            raise self.error
        views = []
        for number, image in enumerate(images):
            if given_up is not None and given_up():
                raise InterruptedError
            pixels = decode(ImageFile.read(Path(str(image)))).pixels[..., ::-1]
            views.append(cv2.resize(np.ascontiguousarray(pixels), (WIDTH, HEIGHT)))
            time.sleep(self.seconds)
            if on_step is not None:
                on_step("prefix", number + 1, len(images))
        names = tuple(asked.names) or names_of([str(image) for image in images])
        return wall(np.stack(views).astype(np.uint8), names)

    def close(self) -> None:
        self.closed = True


def wall(images: Any, names: Sequence[str]) -> Scene:
    """Cameras side by side, 0.5 m apart; confidence rises from left to right."""
    views = len(images)
    extrinsics = np.tile(np.eye(3, 4), (views, 1, 1))
    extrinsics[:, 0, 3] = -0.5 * np.arange(views)
    intrinsics = np.tile([[30.0, 0, WIDTH / 2], [0, 30.0, HEIGHT / 2], [0, 0, 1]], (views, 1, 1))
    depth = np.full((views, HEIGHT, WIDTH), 2, np.float32)
    rising = np.linspace(1, 5, WIDTH, dtype=np.float32)
    confidence = np.broadcast_to(rising, depth.shape).copy()
    return Scene(
        depth,
        extrinsics,
        intrinsics,
        tuple(names),
        MADE_BY,
        unit="m",
        confidence=confidence,
        images=images,
    )


@contextmanager
def scene_service(root: Path, make: Optional[Fake] = None, **settings: Any) -> Iterator[Service]:
    """A service that makes scenes in this process, and has no other model."""
    made = make or Fake()
    backend = Backend(root, SceneModel(lambda: made, "fake"))
    service = Service(Models(), Settings(**settings), backend=backend)
    service.start()
    try:
        yield service
    finally:
        service.close()


def main() -> None:
    root, seconds, *gallery = sys.argv[1:]
    settings = Settings(port=0, gallery=Path(gallery[0]) if gallery else None)
    run_backend(lambda: Fake(float(seconds)), "fake", settings, Path(root))


if __name__ == "__main__":
    main()
