"""How far the cameras of a scene are from the reference's.

    rotation_deg       the largest angle between two rotations of a view
    translation        the largest distance between two centres of a view, as a share of how far the
                       reference's cameras are spread, or of its mean depth if that is larger
    field_of_view_deg  the largest difference of an angle of view, vertical or horizontal
    other_reference    1 if the class tokens choose another reference view, else 0; no limit

Shapes: S views | extrinsics [S,3,4] world to camera | intrinsics [S,3,3] px
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from compile.errors import ParityError
from depth.artifact.program import Numbers
from depth.maps.result import FloatArray
from depth.sizes import Size
from depth.steps.cameras import other_way
from depth.steps.views import Views

Doubles = npt.NDArray[np.float64]


def camera_errors(scene: str, reference: Views, found: Views, same_reference: bool) -> Numbers:
    """The figures of one scene. Raises ParityError for cameras that are not finite."""
    for what, views in (("reference", reference), ("program", found)):
        if not (np.isfinite(views.extrinsics).all() and np.isfinite(views.intrinsics).all()):
            raise ParityError(f"the {what} gives cameras that are not finite on {scene!r}")
    size = int(reference.depth.shape[1]), int(reference.depth.shape[2])
    r, p = (views.extrinsics.astype(np.float64) for views in (reference, found))
    wanted, got = (other_way(each[:, :, :3], each[:, :, 3])[:, :, 3] for each in (r, p))
    spread = float(np.linalg.norm(wanted - wanted[:1], axis=1).max())
    scale = max(spread, float(reference.depth.mean(dtype=np.float64)))
    angles = _angles(reference.intrinsics, size) - _angles(found.intrinsics, size)
    return {
        "rotation_deg": float(_between(r[:, :, :3], p[:, :, :3]).max()),
        "translation": float(np.linalg.norm(wanted - got, axis=1).max() / scale),
        "field_of_view_deg": float(np.abs(angles).max()),
        "other_reference": 0.0 if same_reference else 1.0,
    }


def _between(one: Doubles, other: Doubles) -> Doubles:
    """[S,3,3] twice to the angles between them, degrees; exact also for small angles."""
    turn = one.transpose(0, 2, 1) @ other
    off = turn - turn.transpose(0, 2, 1)
    sines = np.stack([off[:, 2, 1], off[:, 0, 2], off[:, 1, 0]])
    cosines = np.trace(turn, axis1=1, axis2=2) - 1
    return np.degrees(np.arctan2(np.linalg.norm(sines, axis=0), cosines))


def _angles(intrinsics: FloatArray, size: Size) -> Doubles:
    """[S,2]: vertical and horizontal angle of view, degrees."""
    focal = intrinsics.astype(np.float64)[:, (1, 0), (1, 0)]
    return np.degrees(2 * np.arctan(np.array(size, np.float64) / 2 / focal))
