"""Draw a world: picture and exact inverse depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from checkpoints.demo.scenes import textures
from checkpoints.demo.scenes.kinds import KINDS, build
from checkpoints.demo.scenes.solids import (
    BALL,
    PLANE,
    ROOM,
    FloatArray,
    Solid,
    Vectors,
    intersect,
    normals,
    surface_m,
    vector,
)
from checkpoints.demo.scenes.world import Camera, World

FARTHEST_M = 1000.0  # ground beyond is drawn as sky
SHADOW_STRIDE = 2  # shadows are found on every second pixel of both sides


@dataclass(frozen=True)
class Scene:
    """A picture with its truth."""

    image: npt.NDArray[np.uint8]  # [H,W,3] BGR
    inverse_depth: FloatArray  # [H,W], 1/m along the optical axis; 0 is sky
    kind: str


@dataclass(frozen=True)
class View:
    """The rays of a camera for a picture of one size."""

    camera: Camera
    x: FloatArray  # [W] slopes
    y: FloatArray  # [H]

    @staticmethod
    def of(camera: Camera, size: tuple[int, int]) -> View:
        height, width = size
        focal_px = camera.focal_px(size)
        x = (np.arange(width) - (width - 1) / 2) / focal_px
        y = (np.arange(height) - (height - 1) / 2) / focal_px
        return View(camera, x.astype(np.float32), y.astype(np.float32))

    def into(self, solid: Solid, rows: slice, columns: slice) -> tuple[Vectors, Vectors]:
        """Origin and directions of some rays in a solid's frame."""
        to_local = solid.to_local
        origin = to_local @ (self.camera.position - solid.centre)
        turned = to_local @ self.camera.rotation
        x, y = self.x[None, columns], self.y[rows, None]
        direction = tuple(turned[i, 0] * x + (turned[i, 1] * y + turned[i, 2]) for i in range(3))
        return tuple(origin), direction

    def window(self, solid: Solid) -> Optional[tuple[slice, slice]]:
        """Rows and columns that a solid can cover; None if it is out of sight."""
        everything = slice(0, len(self.y)), slice(0, len(self.x))
        if solid.form in (PLANE, ROOM):
            return everything
        signs = vector([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
        corners = (signs * solid.half) @ solid.rotation.T + solid.centre - self.camera.position
        seen = corners @ self.camera.rotation
        if (seen[:, 2] < 0.02).all():
            return None
        if (seen[:, 2] < 0.02).any():
            return everything
        rows = _span(self.y, seen[:, 1] / seen[:, 2])
        columns = _span(self.x, seen[:, 0] / seen[:, 2])
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return None
        return rows, columns


def _span(slopes: FloatArray, at: FloatArray) -> slice:
    start = int(np.searchsorted(slopes, at.min()))
    return slice(max(start - 1, 0), int(np.searchsorted(slopes, at.max())) + 1)


def render(seed: int, kind: Optional[str] = None, size: tuple[int, int] = (168, 224)) -> Scene:
    """Scene number `seed`, of a kind of `KINDS` or of any; size is (height, width) px.

    The same arguments give the same scene. Raises InputError for an unknown kind.
    """
    kind = kind or KINDS[seed % len(KINDS)]
    rng = np.random.default_rng([seed, *kind.encode()])
    return draw(build(kind, rng), rng, kind, size)


def draw(world: World, rng: np.random.Generator, kind: str, size: tuple[int, int]) -> Scene:
    """The world as its camera sees it now. Another camera of the same world gives another view."""
    view = View.of(world.camera, size)
    depth, owner = cast(world, view)
    image = expose(paint(world, view, depth, owner), rng)
    inverse = np.where(owner < 0, 0, 1 / depth).astype(np.float32)
    return Scene(image, inverse, kind)


def cast(world: World, view: View) -> tuple[FloatArray, npt.NDArray[np.int16]]:
    """Depth [H,W] in metres and the solid that is seen there; -1 and inf are sky."""
    depth = np.full((len(view.y), len(view.x)), np.inf, np.float32)
    owner = np.full(depth.shape, -1, np.int16)
    for number, solid in enumerate(world.solids):
        window = view.window(solid)
        if window is None:
            continue
        t = np.broadcast_to(intersect(solid.form, *view.into(solid, *window)), depth[window].shape)
        closer = (t < depth[window]) & (t < FARTHEST_M)
        depth[window] = np.where(closer, t, depth[window])
        owner[window][closer] = number
    return depth, owner


def paint(world: World, view: View, depth: FloatArray, owner: npt.NDArray[np.int16]) -> FloatArray:
    """Colours [H,W,3], BGR, linear, about 0..1."""
    directions = _world_directions(view)
    picture = _sky(world, directions).reshape(-1, 3)
    flat_depth, flat_owner = depth.ravel(), owner.ravel()
    lit = _lit(world, view, depth, owner).ravel()
    order = np.argsort(flat_owner, kind="stable")
    bounds = np.searchsorted(flat_owner[order], np.arange(len(world.solids) + 1))
    for number, solid in enumerate(world.solids):
        at = order[bounds[number] : bounds[number + 1]]
        if len(at):
            picture[at] = _shade(world, solid, directions[at], flat_depth[at], lit[at])
    if world.fog_per_m:
        solid_at = flat_owner >= 0
        clear = np.exp(-world.fog_per_m * flat_depth[solid_at])[:, None]
        picture[solid_at] = picture[solid_at] * clear + world.sky[1] * (1 - clear)
    return picture.reshape(*depth.shape, 3)


def _world_directions(view: View) -> FloatArray:  # [H*W,3]
    x, y = np.meshgrid(view.x, view.y)
    rays = np.stack([x.ravel(), y.ravel(), np.ones(x.size, np.float32)], axis=1)
    return (rays @ view.camera.rotation.T).astype(np.float32, copy=False)


def _sky(world: World, directions: FloatArray) -> FloatArray:
    length = np.linalg.norm(directions, axis=1)
    height = np.clip(directions[:, 1] / length, 0, 1)[:, None]
    colour = world.sky[1] + (world.sky[0] - world.sky[1]) * np.sqrt(height)
    if world.clouds:
        over = 0.15 / np.maximum(directions[:, 1] / length, 0.03)
        u, v = directions[:, 0] / length * over, directions[:, 2] / length * over
        cloud = textures.look_up(6, u, v)[:, None]
        colour += (1 - colour) * world.clouds * np.clip(2 * cloud - 0.6, 0, 1)
    return colour.astype(np.float32, copy=False)


def _shade(
    world: World, solid: Solid, directions: FloatArray, depth: FloatArray, lit: FloatArray
) -> FloatArray:  # [n,3]
    at = view_point(world.camera, directions, depth)
    local = (at - solid.centre) @ solid.to_local.T
    normal = normals(solid, local)
    material = solid.material
    u, v = surface_m(solid, local)
    value = textures.look_up(material.texture, u / material.tile_m, v / material.tile_m)
    # Patterns finer than a pixel average out, as they do in a camera.
    pixels_per_tile = 150 * material.tile_m / depth
    value = 0.5 + (value - 0.5) * np.clip(pixels_per_tile / 12 - 0.3, 0, 1)
    colour = material.colours[0] + (material.colours[1] - material.colours[0]) * value[:, None]
    to_light, strength = _light(world, at)
    facing = np.clip((normal * to_light).sum(axis=1), 0, 1)
    direct = facing * lit * strength * (1.25 - world.ambient)
    fill = world.ambient * (0.75 + 0.25 * normal[:, 1])
    shaded = colour * (direct + fill)[:, None]
    if material.gloss > 0.25 and solid.form == BALL:
        shaded += (facing**20 * lit * material.gloss)[:, None]
    return shaded


def view_point(camera: Camera, directions: FloatArray, depth: FloatArray) -> FloatArray:
    """World positions [n,3], metres, of ray points at a depth along the optical axis."""
    return camera.position + directions * depth[:, None]


def _light(world: World, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unit directions to the light [n,3] and its strength [n]."""
    if world.lamp is None:
        return world.sun[None], np.ones(1, np.float32)
    away = world.lamp - at
    distance = np.linalg.norm(away, axis=1)
    reach = np.linalg.norm(world.lamp - world.camera.position) + 1
    strength = 1.3 / (0.5 + (distance / reach) ** 2)
    return away / np.maximum(distance, 1e-3)[:, None], strength.astype(np.float32)


def _lit(world: World, view: View, depth: FloatArray, owner: npt.NDArray[np.int16]) -> FloatArray:
    """[H,W]: 1 where the light reaches, 0 in shadow; found on a coarser grid."""
    step = SHADOW_STRIDE
    coarse = View(view.camera, view.x[::step], view.y[::step])
    near = depth[::step, ::step].ravel()
    solid_at = owner[::step, ::step].ravel() >= 0
    at = view_point(world.camera, _world_directions(coarse)[solid_at], near[solid_at])
    if world.lamp is None:
        way = np.broadcast_to(world.sun, at.shape)
        start = at + way * 0.02
    else:
        way = world.lamp - at
        start = at + way * 0.01
    shadowed = np.zeros(len(at), bool)
    for solid in world.solids:
        if not solid.casts_shadow:
            continue
        origin = tuple(((start - solid.centre) @ solid.to_local.T).T)
        direction = tuple((way @ solid.to_local.T).T)
        t = intersect(solid.form, origin, direction)
        shadowed |= t < (1 if world.lamp is not None else np.inf)
    lit = np.ones(solid_at.shape, np.float32)
    lit[solid_at] = ~shadowed
    lit = lit.reshape(len(coarse.y), len(coarse.x))
    height, width = depth.shape
    return lit.repeat(step, axis=0)[:height].repeat(step, axis=1)[:, :width]


def expose(picture: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """What a camera makes of the light: blur, exposure, colour cast, vignette, noise, 8 bits."""
    height, width, _ = picture.shape
    if rng.random() < 0.7:
        share = rng.uniform(0.1, 0.5)
        for axis in (0, 1):
            middle = picture.copy()
            ahead, behind = np.roll(picture, 1, axis), np.roll(picture, -1, axis)
            edge = np.arange(1, picture.shape[axis] - 1)
            blurred = middle * (1 - share) + (ahead + behind) * (share / 2)
            index = (edge, slice(None)) if axis == 0 else (slice(None), edge)
            middle[index] = blurred[index]
            picture = middle
    cast_bgr = rng.uniform(0.85, 1.12, 3) * rng.uniform(0.7, 1.3)
    fall = rng.uniform(0, 0.35)
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)
    vignette = 1 - fall * (x[None] ** 2 + y[:, None] ** 2) / 2
    picture = np.clip(picture * cast_bgr.astype(np.float32) * vignette[..., None], 0, None)
    picture = picture ** np.float32(rng.uniform(0.6, 1.0))
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.03))
    return (np.clip(picture + noise, 0, 1) * 255 + 0.5).astype(np.uint8)
