"""`ply`: the points of a scene in its own world, with their colours."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from depth.exports.ply import encode_ply
from depth.scenes.formats.files import Files
from depth.scenes.options import Options
from depth.scenes.points import Cloud, cloud
from depth.scenes.scene import Scene, about

PLY = "points.ply"


def files(scene: Scene, options: Options) -> Files:
    """Its one file. Raises InputError if no point is left."""
    return {PLY: partial(encoded, scene, cloud(scene, options))}


def encoded(scene: Scene, found: Cloud) -> bytes:
    """The PLY file of points."""
    said: dict[str, Any] = {**about(scene), "points": len(found.points)}
    return encode_ply(found.points.astype(np.float32), found.colours, said)
