"""Panoramas of the demo renderer's worlds, with their truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from checkpoints.demo.scenes.kinds import build
from checkpoints.demo.scenes.render import View as Rendered
from checkpoints.demo.scenes.render import cast, paint
from checkpoints.demo.scenes.world import Camera, World
from depth.maps.result import FloatArray
from depth.panoramas.blending import blended
from depth.panoramas.geometry import View, slant
from depth.panoramas.layouts import CUBE
from depth.sizes import Size

_FOV_DEG = 96.0
_GAMMA = 0.8


@dataclass(frozen=True, eq=False)
class Panorama:
    """pixels [H,W,3] uint8 BGR, and inverse distances along the rays [H,W], 0 in the sky."""

    pixels: npt.NDArray[np.uint8]
    inverse: FloatArray


def render_panorama(seed: int, kind: str, size: Size) -> Panorama:
    """A random world of a kind, all around its camera. The same arguments give the same picture."""
    world = build(kind, np.random.default_rng([seed, *kind.encode()]))
    faces = tuple(replace(face, fov_deg=_FOV_DEG) for face in CUBE)
    planes = [_plane(world, face, size[0]) for face in faces]
    whole = blended(faces, planes, size).values
    colours = np.clip(whole[..., 1:], 0, 1) ** np.float32(_GAMMA)
    return Panorama((colours * 255 + 0.5).astype(np.uint8), np.maximum(whole[..., 0], 0))


def _plane(world: World, face: View, side_px: int) -> FloatArray:
    """[side,side,4]: inverse distance and linear colours of a face."""
    x, y, z = world.camera.position.tolist()
    turns = math.radians(face.yaw_deg), math.radians(face.pitch_deg), 0.0
    camera = Camera.aimed((x, y, z), *turns, math.radians(face.fov_deg))
    view = Rendered.of(camera, (side_px, side_px))
    depth, owner = cast(world, view)
    inverse = np.where(owner < 0, 0, 1 / depth) / slant(face, side_px)
    return np.dstack([inverse, paint(world, view, depth, owner)]).astype(np.float32)
