"""`gs_video`: Gaussians as a film, on a path from camera to camera; of one view, around it.

Small scenes only: a CPU draws them, with numpy. Needs PyAV.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from depth.errors import InputError
from depth.images.film import encoded_mp4
from depth.images.video import has_video
from depth.scenes.formats.files import Files
from depth.scenes.geometry import quaternion
from depth.scenes.options import Options
from depth.scenes.rasteriser import Lens, seen_by
from depth.scenes.scene import Doubles, Pixels, Scene
from depth.steps.cameras import other_way
from depth.steps.gaussians import Gaussians, matrices_of

_FPS = 24.0
_FROM_VIEW_TO_VIEW, _AROUND = 24, 48  # pictures
_CIRCLE = 0.05  # its radius, of the median depth
_A_MINUTE = 200_000_000  # pairs of a Gaussian and a pixel that a core draws
_MOST_MINUTES = 5


def files(scene: Scene, options: Options) -> Files:
    """Its one file.

    Raises InputError for a scene without Gaussians, without PyAV, and for a film that takes long.
    """
    if scene.gaussians is None:
        raise InputError(
            "gs_video needs Gaussians, and the scene has none: only da3-giant and "
            "da3nested-giant-large give them, with infer_gs=True"
        )
    if not has_video():
        raise InputError('gs_video needs PyAV: install the extra "video", or take gs_ply')
    every = np.zeros(scene.depth.shape, np.bool_)
    every[:: options.every] = True
    gaussians = scene.gaussians[every.ravel()]
    path = around(scene) if len(scene) == 1 else through(scene)
    pairs = seen_by(gaussians, path[0]).pairs * len(path)
    if pairs > _MOST_MINUTES * _A_MINUTE:
        raise InputError(
            f"gs_video draws on the CPU, and these {len(path)} pictures of {len(gaussians)} "
            f"Gaussians would take about {pairs / _A_MINUTE:.0f} minutes; take fewer views, a "
            "smaller process_res or every Nth view, or gs_ply in a viewer"
        )
    name = "around" if len(scene) == 1 else "through"
    return {f"gs_video/0000_{name}.mp4": partial(_film, gaussians, path)}


def _film(gaussians: Gaussians, path: list[Lens]) -> bytes:
    def pictures() -> Iterator[Pixels]:
        for lens in path:
            yield seen_by(gaussians, lens).picture()

    return encoded_mp4(pictures(), _FPS)


def through(scene: Scene) -> list[Lens]:
    """Cameras between those of the views, in their order; the first and the last are views'."""
    turns = np.stack([quaternion(each[:, :3]) for each in scene.extrinsics])
    places = _places(scene)
    steps = np.arange(_FROM_VIEW_TO_VIEW) / _FROM_VIEW_TO_VIEW
    found = []
    for view in range(len(scene) - 1):
        pair = slice(view, view + 2)
        found += [_between(scene, pair, turns[pair], places[pair], float(t)) for t in steps]
    return [*found, Lens(scene.extrinsics[-1], scene.intrinsics[-1], scene.size)]


def _between(scene: Scene, pair: slice, turns: Doubles, places: Doubles, share: float) -> Lens:
    first, second = turns
    if first @ second < 0:
        second = -second
    mixed = (1 - share) * first + share * second
    rotation = matrices_of((mixed / np.linalg.norm(mixed))[np.newaxis])[0]
    place = (1 - share) * places[0] + share * places[1]
    lens = (1 - share) * scene.intrinsics[pair][0] + share * scene.intrinsics[pair][1]
    return Lens(np.column_stack([rotation, -rotation @ place]), lens, scene.size)


def around(scene: Scene) -> list[Lens]:
    """Cameras on a small circle around that of the first view, all looking as it does."""
    known = scene.depth[0][scene.depth[0] > 0]
    radius = _CIRCLE * float(np.median(known)) if len(known) else 0.0
    found = []
    for angle in np.linspace(0, 2 * np.pi, _AROUND, endpoint=False):
        moved = scene.extrinsics[0].copy()
        moved[:2, 3] -= radius * np.array([np.sin(angle), 1 - np.cos(angle)])
        found.append(Lens(moved, scene.intrinsics[0], scene.size))
    return found


def _places(scene: Scene) -> Doubles:
    return other_way(scene.extrinsics[:, :, :3], scene.extrinsics[:, :, 3])[:, :, 3]
