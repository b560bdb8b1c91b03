"""`glb`: the points of a scene and its cameras as glTF 2.0, in upstream's frame, and pictures.

The frame: glTF's axes, x right, y up, z backward, as the first view's camera has them, with the
median of the points as its origin. The matrix from the scene's world to that frame is in
`scenes[0].extras.hf_alignment`, as in upstream's files.
"""

from __future__ import annotations

import colorsys
import json
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from depth.exports.glb import GENERATOR, container
from depth.scenes.formats import depth_vis
from depth.scenes.formats.files import Files
from depth.scenes.geometry import OPENGL, camera_to_world, homogeneous, to_world
from depth.scenes.options import Options
from depth.scenes.points import Cloud, cloud
from depth.scenes.scene import Doubles, Pixels, Scene, about

GLB, PICTURE = "scene.glb", "scene.jpg"

_POINTS, _LINES = 0, 1  # modes
_FLOAT, _BYTE = 5126, 5121  # component types
_VERTICES = 34962  # target of a buffer view
_CAMERA_SIZE = 0.03  # the depth of a drawn camera, of the points' extent
_EXTENT = (5, 95)  # percentiles
_SATURATION, _VALUE = 0.85, 0.95  # of the cameras' colours


def files(scene: Scene, options: Options) -> Files:
    """The pictures, and the scene as the last. Raises InputError if no point is left."""
    picture = partial(depth_vis.picture, scene, 0, options.size)
    document = partial(_scene, scene, options, cloud(scene, options))
    return {**depth_vis.files(scene, options), PICTURE: picture, GLB: document}


def _scene(scene: Scene, options: Options, found: Cloud) -> bytes:
    alignment = aligned(scene, found.points)
    points = moved(found.points, alignment)
    built = _Document({**about(scene), "points": len(points)}, alignment)
    built.add(points, found.colours, _POINTS)
    if options.cameras:
        depth = _CAMERA_SIZE * extent(points)
        for view in range(len(scene)):
            lines = moved(_pyramid(scene, view, depth), alignment)
            colour = colorsys.hsv_to_rgb((view + 0.5) / len(scene), _SATURATION, _VALUE)
            rgb = (np.array(colour) * 255).astype(np.uint8)
            built.add(lines, np.broadcast_to(rgb, (len(lines), 3)), _LINES)
    return built.file()


def aligned(scene: Scene, points: Doubles) -> Doubles:
    """[4,4]: from the scene's world to the frame of the file."""
    turned = OPENGL @ homogeneous(scene.extrinsics[0])
    centre = np.eye(4)
    centre[:3, 3] = -np.median(moved(points, turned), axis=0)
    return centre @ turned


def moved(points: Doubles, matrix: Doubles) -> Doubles:
    """Points [N,3] after a matrix [4,4]."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def extent(points: Doubles) -> float:
    """The diagonal of the box that most of the points are in; 1 if there is no extent."""
    low, high = np.percentile(points, _EXTENT, axis=0)
    return float(np.linalg.norm(high - low)) or 1.0


def _pyramid(scene: Scene, view: int, depth: float) -> Doubles:
    """[16,3]: the ends of eight lines, from the camera to the image's corners and around them."""
    height, width = scene.size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    matrices = scene.intrinsics[view], scene.extrinsics[view]
    far = to_world(corners, np.full(4, depth), *matrices)
    near = np.broadcast_to(camera_to_world(scene.extrinsics[view])[:3, 3], (4, 3))
    sides = np.stack([far, np.roll(far, -1, axis=0)], 1)
    return np.concatenate([np.stack([near, far], 1), sides]).reshape(-1, 3)


class _Document:
    """A glTF document whose nodes lie under one that is called `world`."""

    def __init__(self, said: dict[str, Any], alignment: Doubles) -> None:
        self._binary = bytearray()
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []
        self._meshes: list[dict[str, Any]] = []
        self._asset = {"version": "2.0", "generator": GENERATOR, "extras": said}
        self._extras = {"hf_alignment": alignment.tolist()}

    def add(self, points: Doubles, colours: Pixels, mode: int) -> None:
        """Points [N,3] or ends of lines, and a colour [N,3] for each."""
        position = self._accessor(points.astype("<f4"), _FLOAT)
        ends = {"min": points.astype("<f4").min(0), "max": points.astype("<f4").max(0)}
        self._accessors[position].update({name: end.tolist() for name, end in ends.items()})
        opaque = np.full((len(colours), 4), 255, np.uint8)
        opaque[:, :3] = colours
        colour = self._accessor(opaque, _BYTE)
        self._accessors[colour]["normalized"] = True
        attributes = {"POSITION": position, "COLOR_0": colour}
        self._meshes.append({"primitives": [{"attributes": attributes, "mode": mode}]})

    def file(self) -> bytes:
        """The GLB file."""
        count = len(self._meshes)
        children = [{"name": f"geometry_{mesh}", "mesh": mesh} for mesh in range(count)]
        document = {
            "asset": self._asset,
            "scene": 0,
            "scenes": [{"nodes": [0], "extras": self._extras}],
            "nodes": [{"name": "world", "children": [*range(1, count + 1)]}, *children],
            "meshes": self._meshes,
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self._binary)}],
        }
        text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        return container(text.encode(), bytes(self._binary))

    def _accessor(self, values: npt.NDArray[Any], component: int) -> int:
        """The number of a new accessor; every row is a multiple of four bytes."""
        data = values.tobytes()
        self._views.append(
            {
                "buffer": 0,
                "byteOffset": len(self._binary),
                "byteLength": len(data),
                "target": _VERTICES,
            }
        )
        self._binary += data
        kind, number = f"VEC{values.shape[1]}", len(self._accessors)
        self._accessors.append(
            {
                "bufferView": number,
                "componentType": component,
                "count": len(values),
                "type": kind,
            }
        )
        return number
