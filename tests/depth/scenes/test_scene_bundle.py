"""Bundle adjustment by pycolmap finds the cameras of a model again, because views share tracks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.scenes import tracks
from depth.scenes.export import export_scene
from depth.scenes.formats import colmap
from depth.scenes.options import Options
from depth.scenes.scene import Scene
from depth.scenes.tracks import Tracks
from tests.support.rendered import Rendered, rendered

TURN_DEG, SHIFT = 2.0, 0.02  # of the cameras; the shift as a share of their distance to things


@pytest.fixture(scope="module")
def room() -> Rendered:
    return rendered()


def adjusted(found: Rendered, folder: Path) -> tuple[Any, Any]:
    """The exported model with perturbed cameras, before and after bundle adjustment."""
    pycolmap = pytest.importorskip(
        "pycolmap", reason="pycolmap is not installed: it adjusts exported models"
    )
    export_scene(found.scene, folder, ["colmap"], Options(percentile=0, track_points=1500))
    models = [pycolmap.Reconstruction(str(folder / "sparse/0")) for _ in range(2)]
    distance = float(np.median(found.scene.depth))
    for model in models:
        rng = np.random.default_rng(7)
        for number in sorted(model.frames):
            axis, shift = rng.normal(size=3), rng.normal(size=3)
            axis *= np.radians(TURN_DEG) / np.linalg.norm(axis)
            shift *= SHIFT * distance / np.linalg.norm(shift)
            moved = pycolmap.Rigid3d(pycolmap.Rotation3d(axis), shift)
            frame = model.frames[number]
            frame.rig_from_world = moved * frame.rig_from_world
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_focal_length = options.refine_extra_params = False
    pycolmap.bundle_adjustment(models[1], options)
    return models[0], models[1]


def errors(found: Rendered, model: Any) -> tuple[float, float]:
    """How far cameras are off: share of the distance to things, and degrees.

    Bundle adjustment is free to turn, move and scale everything at once: that is taken off first.
    """
    poses = [model.images[view + 1].cam_from_world().matrix() for view in range(len(found.scene))]
    ours, theirs = (
        np.array([-e[:, :3].T @ e[:, 3] for e in p]) for p in (found.scene.extrinsics, poses)
    )
    turned = sum(a[:, :3].T @ b[:, :3] for a, b in zip(found.scene.extrinsics, poses))
    u, _, v = np.linalg.svd(turned)
    turn = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v  # from their world to ours
    a, b = ours - ours.mean(0), (theirs - theirs.mean(0)) @ turn.T
    scale = float((a * b).sum() / (b * b).sum())
    off = float(np.linalg.norm(scale * b - a, axis=1).max()) / float(np.median(found.scene.depth))
    degrees = []
    for e, p in zip(found.scene.extrinsics, poses):
        chord = np.linalg.norm(e[:, :3] @ turn @ p[:, :3].T - np.eye(3)) / np.sqrt(8)
        degrees.append(float(np.degrees(2 * np.arcsin(chord))))
    return off, max(degrees)


@pytest.mark.long
def test_shared_tracks_bring_the_cameras_back(room: Rendered, tmp_path: Path) -> None:
    before, after = adjusted(room, tmp_path)
    lengths = [point.track.length() for point in after.points3D.values()]
    assert min(lengths) == 2
    assert max(lengths) == len(room.scene)
    assert errors(room, before)[0] > 0.01
    assert errors(room, before)[1] > 1
    off, degrees = errors(room, after)
    assert off < 0.01 * SHIFT, "1 % of what they were off"
    assert degrees < 0.01 * TURN_DEG


@pytest.mark.long
@pytest.mark.parametrize("times", [1, 2])
def test_tracks_of_one_view_bring_nothing_back(
    times: int, room: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pycolmap refuses a track of one place; two places in one image are no better."""

    def unshared(scene: Scene, options: Options) -> Tracks:
        found = tracks.tracks_of(scene, options)
        point, view, places = (
            np.repeat(values, times, axis=0) for values in (found.point, found.view, found.places)
        )
        return replace(found, point=point, view=view, places=places)

    monkeypatch.setattr(tracks, "AGREEMENT", -1.0)
    monkeypatch.setattr(colmap, "tracks_of", unshared)
    if times == 1:
        with pytest.raises(ValueError, match=r"track.Length\(\) > 1"):
            adjusted(room, tmp_path)
        return
    _, after = adjusted(room, tmp_path)
    off, degrees = errors(room, after)
    assert off > 0.01
    assert degrees > 1
