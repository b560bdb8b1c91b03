"""What the network says of a scene, as a scene that exports take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from depth.errors import InputError
from depth.maps.result import MODEL, FloatArray, Provenance
from depth.preprocess import REFERENCE
from depth.scenes.inputs import Plan
from depth.scenes.names import names_of
from depth.scenes.scene import METRE, Scene
from depth.steps.alignment import aligned, moved
from depth.steps.cameras import Cameras, given_cameras
from depth.steps.views import Views
from serve.provenance import made_with
from serve.scenes.asked import SceneAsked
from serve.scenes.images import OpenedImage
from serve.scenes.library import SceneServed


@dataclass(frozen=True)
class Shot:
    """The images of a scene, and what a caller knows of them.

    plan    which of the images are in, and how they became network inputs
    images  all that were given
    names   of all that were given
    given   cameras of the views that are in, px of the network's input
    """

    plan: Plan
    images: Sequence[OpenedImage]
    names: tuple[str, ...]
    given: Optional[Cameras] = None

    @property
    def left_out(self) -> int:
        """Images of another size, which are not in the scene."""
        return len(self.images) - len(self.plan.views)


def shot_of(images: Sequence[OpenedImage], plan: Plan, asked: SceneAsked) -> Shot:
    """Raises InputError for cameras and names that do not go with the images."""
    count = len(images)
    names = tuple(asked.names) or names_of([str(image.path or "") for image in images])
    if len(names) != count:
        raise InputError(f"{len(names)} names for {count} images: give one for each, or none")
    if asked.cameras is None:
        return Shot(plan, images, names)
    given = given_cameras(asked.cameras.extrinsics, asked.cameras.intrinsics, count)
    _check_lenses(given.intrinsics)
    lenses = [
        place.lens(given.intrinsics[view].astype(np.float64))
        for place, view in zip(plan.places, plan.views)
    ]
    placed = given.extrinsics[list(plan.views)]
    return Shot(plan, images, names, Cameras(placed, np.stack(lenses).astype(np.float32)))


def _check_lenses(intrinsics: FloatArray) -> None:
    """Raise InputError for what a scene cannot hold, before the network runs."""
    plain = intrinsics.copy()
    plain[:, (0, 1, 0, 1), (0, 1, 2, 2)] = 0
    for view in np.flatnonzero((plain != np.diag([0, 0, 1])).any(axis=(1, 2))):
        raise InputError(
            f"intrinsics of view {view}: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], no skew"
        )


def scene_of(
    views: Views,
    shot: Shot,
    asked: SceneAsked,
    served: SceneServed,
    inputs: FloatArray,
    policy: str,
) -> Scene:
    """The scene, in the scale of the given cameras if there are any and they are to stay.

    inputs  network inputs [S,3,H,W]

    Raises InputError for cameras that are not finite.
    """
    depth, extrinsics, intrinsics = views.depth, views.extrinsics, views.intrinsics
    unit = METRE if views.scale is not None else None
    if shot.given is not None:
        if not np.isfinite(extrinsics).all():
            raise InputError("predicted cameras are not finite: the weights or images are damaged")
        found = aligned(extrinsics, shot.given.extrinsics)
        intrinsics = shot.given.intrinsics
        if asked.align_to_given:
            extrinsics, unit = shot.given.extrinsics, None
            depth = (depth / found.scale).astype(np.float32)
        else:
            extrinsics = moved(found, shot.given.extrinsics)[:, :3].astype(np.float32)
    plan = shot.plan
    chosen = [shot.images[view] for view in plan.views]
    return Scene(
        depth=depth,
        extrinsics=extrinsics.astype(np.float64),
        intrinsics=intrinsics.astype(np.float64),
        names=tuple(shot.names[view] for view in plan.views),
        provenance=provenance_of(served, shot, asked, policy),
        unit=unit,
        confidence=views.confidence,
        images=served.recipe.inputs.shown(inputs),
        sources=tuple(
            image.source(place.window(plan.size)) for image, place in zip(chosen, plan.places)
        ),
    )


def provenance_of(served: SceneServed, shot: Shot, asked: SceneAsked, policy: str) -> Provenance:
    """How the scene is made."""
    steps = tuple(_steps(served, shot, asked))
    return made_with(served.artifact, served.size, (REFERENCE, policy, MODEL), steps)


def _steps(served: SceneServed, shot: Shot, asked: SceneAsked) -> list[str]:
    steps = [asked.method]
    if shot.plan.mixed:
        left_out = f", {shot.left_out} left out" if shot.left_out else ""
        steps.append(f"mixed_sizes({asked.mixed}{left_out})")
    if shot.given is None:
        steps.append(f"reference_view({asked.strategy})")
    if asked.ray_pose:
        steps.append(f"ray_pose(seed={served.recipe.ray_pose.seed})")
    if served.metric:
        steps.append(f"metric_scale(seed={served.recipe.metres.seed})")
    if shot.given is not None:
        way = "to_given" if asked.align_to_given else "to_predicted"
        steps.append(f"align_{way}_cameras")
    return steps
