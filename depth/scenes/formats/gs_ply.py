"""`gs_ply`: Gaussians as PLY, with the properties that viewers of 3D Gaussian Splatting read.

As upstream writes them: colours without their dependence on the direction, opacity as logit, scales
as logarithms, rotations w x y z. Gaussians at the border of a view are left out, and the farthest
tenth of each view.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.exports.ply import ply_file
from depth.scenes.formats.files import Files
from depth.scenes.options import Options
from depth.scenes.scene import Mask, Scene, about
from depth.steps.gaussians import Gaussians

GS_PLY = "gs_ply/0000.ply"

_BORDER = 8 / 256  # of a side
_FAR = 0.9  # quantile of a view's depth
_OPAQUE = 1e-6  # how far opacities stay from 0 and 1, where a logit has no end
_NAMES = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)


def files(scene: Scene, options: Options) -> Files:
    """Its one file. Raises InputError if the scene has no Gaussians, or none is left."""
    if scene.gaussians is None:
        raise InputError(
            "gs_ply needs Gaussians, and the scene has none: only da3-giant and "
            "da3nested-giant-large give them, with infer_gs=True"
        )
    found = scene.gaussians[kept(scene, scene.gaussians, options.every)]
    if not len(found):
        raise InputError("no Gaussian is left of the scene: none has finite numbers and a size")
    return {GS_PLY: partial(_encoded, scene, found)}


def kept(scene: Scene, gaussians: Gaussians, every: int) -> npt.NDArray[np.bool_]:
    """[G]: those that are not at a border, not far, and that can be drawn."""
    found: Mask = np.zeros(scene.depth.shape, np.bool_)
    height, width = scene.size
    down, across = int(_BORDER * height), int(_BORDER * width)
    found[::every, down : height - down, across : width - across] = True
    far = np.quantile(scene.depth.reshape(len(scene), -1), _FAR, axis=1)
    found &= scene.depth <= far.astype(np.float32)[:, np.newaxis, np.newaxis]
    return found.ravel() & gaussians.sound()


def _encoded(scene: Scene, found: Gaussians) -> bytes:
    vertices = np.zeros(len(found), [(name, "<f4") for name in _NAMES])
    opacity = np.clip(found.opacities, _OPAQUE, 1 - _OPAQUE)
    columns = {
        **{name: found.means[:, i] for i, name in enumerate("xyz")},
        **{f"f_dc_{i}": found.harmonics[:, i, 0] for i in range(3)},
        "opacity": np.log(opacity / (1 - opacity)),
        **{f"scale_{i}": np.log(found.scales[:, i]) for i in range(3)},
        **{f"rot_{i}": found.rotations[:, i] for i in range(4)},
    }
    for name, values in columns.items():
        vertices[name] = values
    return ply_file(vertices, {**about(scene), "gaussians": len(found)})
