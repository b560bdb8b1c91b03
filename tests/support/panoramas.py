"""Engines for panoramas without a compiled program, and panoramas to give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from depth.artifact.manifest import Manifest
from depth.artifact.program import ProgramKey
from depth.maps.result import FloatArray
from depth.steps.focal import NOTHING_ASKED
from serve.arrays import Arrays
from serve.backend import Backend, ProgramWorker
from serve.engine import Engine
from serve.errors import Action, ProgramError
from serve.library import Library
from serve.panoramas.asked import PanoramaAsked
from serve.panoramas.engine import PanoramaEngine
from serve.shapes import BUCKETS
from tests.support.hostile import encoded
from tests.support.manifests import made_artifact, made_manifest
from tests.support.room import picture

SIDE = 28
KEY = ProgramKey(SIDE, SIDE, 1)
RELATIVE, CUBE6 = made_manifest([KEY]), PanoramaAsked("cube6")


class Brightness:
    """Stands in for a program: each map is one and the brightness, and counts its runs."""

    def __init__(self, manifest: Manifest, fails_from: float) -> None:
        self._names = [output.name for output in manifest.outputs]
        self._fails_from = fails_from
        self.shapes: list[tuple[int, ...]] = []

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        self.shapes.append(arrays["images"].shape)
        if len(self.shapes) >= self._fails_from:
            raise ProgramError("the device is gone", Action.REQUEST_FAULT)
        levels = 1 + arrays["images"].mean(axis=1) / 8
        return {name: levels for name in self._names}


def engine_of(
    manifest: Manifest = RELATIVE,
    asked: PanoramaAsked = CUBE6,
    fails_from: float = float("inf"),
    **options: Any,
) -> tuple[PanoramaEngine, Brightness]:
    """An engine for panoramas, and the program that it runs."""
    program = Brightness(manifest, fails_from)
    return PanoramaEngine(*_parts(manifest, program), **options, asked=asked), program


def plain_engine(manifest: Manifest = RELATIVE, **options: Any) -> Engine:
    """An engine for ordinary images with the same program."""
    return Engine(*_parts(manifest, Brightness(manifest, float("inf"))), **options)


def _parts(manifest: Manifest, program: Brightness) -> tuple[Any, ...]:
    backend = Backend([ProgramWorker(lambda _: program)], None, images_at_once=2, shared=True)
    library = Library([made_artifact(manifest)])
    return library, BUCKETS, None, (), "reference", "full", NOTHING_ASKED, lambda *_: backend


def write_panorama(path: Path, height_px: int = 32) -> Path:
    """The room as an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = height_px, 2 * height_px
    path.write_bytes(encoded(Image.fromarray(picture(size)), "PNG"))
    return path


def panorama_of_a_page() -> dict[str, Any]:
    """What the page of panoramas reads."""
    write_panorama(Path("room-360.png"))
    return {}


def is_panorama(names: dict[str, Any]) -> None:
    """What the page of panoramas says of its block."""
    result = names["result"]
    assert result.depth.values.shape == (32, 64)
    assert result.projection.disagreement >= 0
    assert Path("room.confidence.png").is_file()
