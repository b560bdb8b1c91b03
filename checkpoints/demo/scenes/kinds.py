"""The kinds of scenes. `SEEN` are for training; `UNSEEN` are kept for evaluation only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from checkpoints.demo.scenes import indoor, outdoor
from checkpoints.demo.scenes.solids import BOX, Solid
from checkpoints.demo.scenes.world import Camera, World
from depth.errors import InputError

Builder = Callable[[World], None]

SEEN: dict[str, Builder] = {
    "room": indoor.room,
    "corridor": indoor.corridor,
    "hall": indoor.hall,
    "table": indoor.table,
    "shelves": indoor.shelves,
    "plain": outdoor.plain,
    "poles": outdoor.poles,
    "park": outdoor.park,
    "road": outdoor.road,
    "floating": outdoor.floating,
}
UNSEEN: dict[str, Builder] = {"stairs": indoor.stairs, "street": outdoor.street}
KINDS = (*SEEN, *UNSEEN)


def build(kind: str, rng: np.random.Generator) -> World:
    """A random world of one kind. Raises InputError for an unknown kind."""
    builder = SEEN.get(kind) or UNSEEN.get(kind)
    if builder is None:
        raise InputError(f"no kind of scene {kind!r}; choose from {', '.join(KINDS)}")
    world = World(rng, Camera.aimed((0, 1.5, 0), 0, 0, 0, 1.0))
    builder(world)
    camera = world.camera.position
    world.solids = [solid for solid in world.solids if not _swallows(solid, camera)]
    return world


def _swallows(solid: Solid, point: np.ndarray) -> bool:  # type: ignore[type-arg]
    """Whether a point is inside a solid, or so near that the solid would fill the picture."""
    if solid.form in ("room", "plane"):
        return False
    reach = np.abs(solid.rotation.T @ (point - solid.centre))
    margin = 0.05 if solid.form == BOX else 0.1
    return bool((reach < solid.half + margin).all())
