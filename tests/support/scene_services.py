"""Services whose scenes are small and known, made without a network.

As a script it runs such a service until a signal, and writes its URL to stderr:

    python -m tests.support.scene_services ROOT SECONDS_PER_VIEW [GALLERY [HEIGHT WIDTH]]

With a size, each scene is a room that the demo renderer drew, whatever the images show.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
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
from serve.service.token import token_of
from tests.support.depth_samples import MADE_BY
from tests.support.processes import start, wait_for
from tests.support.rendered import rendered

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


class Room(Fake):
    """Makes scenes of one room, whose depth and cameras are the renderer's own."""

    def __init__(self, seconds: float, size: tuple[int, int]) -> None:
        super().__init__(seconds)
        self.size = size

    def __call__(self, images: Sequence[Given], asked: SceneAsked, *rest: Any) -> Scene:
        seen = super().__call__(images, asked, *rest)
        turns = np.linspace(-1, 1, len(images))
        moves = [(0.7 * turn, 0, 0.1 * abs(turn), -0.2 * turn) for turn in turns]
        scene = rendered(size=self.size, moves=moves).scene
        return replace(scene, names=seen.names, unit="m", sources=None)


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


@contextmanager
def scene_process(
    place: Path, seconds: float = 0.0, size: Sequence[int] = (), token: str = ""
) -> Iterator[str]:
    """The URL of a process that serves scenes, with place/root and place/gallery.

    size  of rooms; without it scenes are walls
    """
    (place / "root" / "gallery").mkdir(parents=True)
    words = (place / "root", seconds, place / "root" / "gallery", *size)
    more = {"DEPTH_TOKEN": token} if token else {}
    process = start(place, "-m", "tests.support.scene_services", *words, **more)
    try:
        said = wait_for(process, place / "stderr", "ready: ")
        yield said.partition("ready: ")[2].split()[0]
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    root, seconds, *more = sys.argv[1:]
    size = [int(side) for side in more[1:]]
    gallery = Path(more[0]) if more else None
    settings = Settings(port=0, gallery=gallery, token=token_of(None, os.environ))
    made = Room(float(seconds), (size[0], size[1])) if size else Fake(float(seconds))
    run_backend(lambda: made, "fake", settings, Path(root))


if __name__ == "__main__":
    main()
