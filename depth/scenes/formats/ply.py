"""`ply`: the points of a scene in its own world, with their colours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from depth.exports.ply import encode_ply
from depth.scenes.options import Options
from depth.scenes.points import Cloud, cloud
from depth.scenes.scene import Scene, about

PLY = "points.ply"


def names(_scene: Scene, _options: Options) -> list[str]:
    """Its one file."""
    return [PLY]


def files(scene: Scene, options: Options) -> Iterator[tuple[str, bytes]]:
    """Raises InputError if no point is left."""
    yield PLY, encoded(scene, cloud(scene, options))


def encoded(scene: Scene, found: Cloud) -> bytes:
    """The PLY file of points."""
    said: dict[str, Any] = {**about(scene), "points": len(found.points)}
    return encode_ply(found.points.astype(np.float32), found.colours, said)
