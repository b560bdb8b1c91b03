"""`nerfstudio`: `transforms.json` with images, depth files and points.

The conventions: nerfstudio's documentation, "Data conventions". Cameras have OpenGL's axes. Depth
files hold thousandths of the scene's unit, distances along the optical axis, since nerfstudio
multiplies them by its `depth_unit_scale_factor`, 0.001 unless told otherwise; 0 is no depth.
"""

from __future__ import annotations

import io
import json
from functools import partial
from typing import Any

import numpy as np

from depth.errors import InputError
from depth.scenes.formats import images, ply
from depth.scenes.formats.files import Files
from depth.scenes.geometry import OPENGL, camera_to_world
from depth.scenes.options import Options
from depth.scenes.points import cloud
from depth.scenes.scene import Scene, about
from depth.scenes.view import frame_of, has_images, view_of

TRANSFORMS, POINTS, DEPTHS = "transforms.json", "sparse_pc.ply", "depths"

_PER_UNIT = 1000


def files(scene: Scene, options: Options) -> Files:
    """`transforms.json` is the last. Raises InputError if the scene has no images or no point."""
    if not has_images(scene, options.size):
        raise InputError("nerfstudio needs images, and the scene has none: choose another format")
    depths = {
        _depth_name(name): partial(_depth, scene, view, options.size)
        for view, name in enumerate(images.file_names(scene))
    }
    points = partial(ply.encoded, scene, cloud(scene, options))
    document = partial(_transforms, scene, options)
    return {**images.files(scene, options), **depths, POINTS: points, TRANSFORMS: document}


def _transforms(scene: Scene, options: Options) -> bytes:
    frames = [_frame(scene, view, options.size) for view in range(len(scene))]
    document = {
        "camera_model": "OPENCV",  # a pinhole camera, whose distortion is 0 unless a file says it
        "ply_file_path": POINTS,
        "frames": frames,
        "about": about(scene),
    }
    return json.dumps(document, indent=1, allow_nan=False).encode()


def _frame(scene: Scene, view: int, size: str) -> dict[str, Any]:
    frame, name = frame_of(scene, view, size), images.file_names(scene)[view]
    (height, width), matrix = frame.size, frame.intrinsics
    return {
        "file_path": f"{images.FOLDER}/{name}",
        "depth_file_path": _depth_name(name),
        "w": width,
        "h": height,
        "fl_x": float(matrix[0, 0]),
        "fl_y": float(matrix[1, 1]),
        "cx": float(matrix[0, 2]),
        "cy": float(matrix[1, 2]),
        "transform_matrix": (camera_to_world(scene.extrinsics[view]) @ OPENGL).tolist(),
    }


def _depth_name(name: str) -> str:
    return f"{DEPTHS}/{name}.npy"


def _depth(scene: Scene, view: int, size: str) -> bytes:
    """The NPY file of a view; sky has no depth."""
    found = view_of(scene, view, size)
    depth = found.depth if found.sky is None else np.where(found.sky, np.float32(0), found.depth)
    stream = io.BytesIO()
    np.save(stream, depth * np.float32(_PER_UNIT))
    return stream.getvalue()
