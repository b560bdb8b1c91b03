"""Readers of a scene's files by the formats' own words, with struct, json and numpy alone."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.exported import read_glb, read_ply

_TYPES = {5126: np.dtype("<f4"), 5121: np.dtype("u1")}
_COUNTS = {"VEC3": 3, "VEC4": 4}


@dataclass
class Image:
    """An image of a COLMAP model."""

    name: str
    camera: int
    extrinsics: np.ndarray  # [3,4]
    places: np.ndarray  # [O,2]
    points: np.ndarray  # [O] their ids


@dataclass
class Model:
    """A COLMAP model; everything by its id."""

    cameras: dict[int, tuple[int, int, np.ndarray]] = field(default_factory=dict)
    images: dict[int, Image] = field(default_factory=dict)
    points: dict[int, tuple[np.ndarray, tuple[int, ...], list[tuple[int, int]]]] = field(
        default_factory=dict
    )


def from_quaternion(w: float, x: float, y: float, z: float) -> np.ndarray:
    """The rotation of a unit quaternion."""
    assert abs(w * w + x * x + y * y + z * z - 1) < 1e-9
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _extrinsics(pose: tuple[float, ...]) -> np.ndarray:
    return np.column_stack([from_quaternion(*pose[:4]), pose[4:]])


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def take(self, form: str) -> Any:
        size = struct.calcsize("<" + form)
        return struct.unpack("<" + form, self._stream.read(size))

    def text(self) -> str:
        letters = iter(lambda: self._stream.read(1), b"\0")
        return b"".join(letters).decode()

    def end(self) -> None:
        assert not self._stream.read(1)


def read_colmap_bin(folder: Path) -> Model:
    model = Model()
    data = _Bytes((folder / "cameras.bin").read_bytes())
    for _ in range(data.take("Q")[0]):
        number, kind, width, height, *parameters = data.take("iiQQ4d")
        assert kind == 1, "PINHOLE"
        model.cameras[number] = width, height, np.array(parameters)
    data.end()
    data = _Bytes((folder / "images.bin").read_bytes())
    for _ in range(data.take("Q")[0]):
        number, *pose, camera = data.take("i7di")
        name, (count,) = data.text(), data.take("Q")
        rows = [data.take("ddq") for _ in range(count)]
        places, points = np.array([r[:2] for r in rows]), np.array([r[2] for r in rows])
        model.images[number] = Image(name, camera, _extrinsics(tuple(pose)), places, points)
    data.end()
    data = _Bytes((folder / "points3D.bin").read_bytes())
    for _ in range(data.take("Q")[0]):
        number, x, y, z, r, g, b, _, length = data.take("Q3d3BdQ")
        track = [data.take("ii") for _ in range(length)]
        model.points[number] = np.array([x, y, z]), (r, g, b), track
    data.end()
    return model


def _lines(path: Path) -> Iterator[list[str]]:
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            yield line.split()


def read_colmap_txt(folder: Path) -> Model:
    model = Model()
    for number, kind, width, height, *parameters in _lines(folder / "cameras.txt"):
        assert kind == "PINHOLE"
        model.cameras[int(number)] = int(width), int(height), np.array(parameters, float)
    lines = _lines(folder / "images.txt")
    for head, body in zip(lines, lines):
        rows = np.array(body, float).reshape(-1, 3)
        pose = _extrinsics(tuple(map(float, head[1:8])))
        image = Image(head[9], int(head[8]), pose, rows[:, :2], rows[:, 2].astype(int))
        model.images[int(head[0])] = image
    for number, *rest in _lines(folder / "points3D.txt"):
        track = [(int(a), int(b)) for a, b in zip(rest[7::2], rest[8::2])]
        r, g, b = map(int, rest[3:6])
        model.points[int(number)] = np.array(rest[:3], float), (r, g, b), track
    return model


def glb_points(data: bytes) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Points [N,3] of the scene's world, their colours [N,4], and the lines of each camera."""
    document, binary = read_glb(data)
    back = np.linalg.inv(document["scenes"][0]["extras"]["hf_alignment"])

    def values(number: int) -> np.ndarray:
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        kind = _TYPES[accessor["componentType"]]
        start, stop = view["byteOffset"], view["byteOffset"] + view["byteLength"]
        assert start % 4 == 0
        assert stop <= len(binary)
        found = np.frombuffer(binary[start:stop], kind)
        return found.reshape(accessor["count"], _COUNTS[accessor["type"]])

    def world(number: int) -> np.ndarray:
        found = values(number)
        accessor = document["accessors"][number]
        np.testing.assert_array_equal(np.float32(accessor["min"]), found.min(0))
        np.testing.assert_array_equal(np.float32(accessor["max"]), found.max(0))
        return found.astype(np.float64) @ back[:3, :3].T + back[:3, 3]

    primitives = [mesh["primitives"][0] for mesh in document["meshes"]]
    assert [primitive["mode"] for primitive in primitives] == [0, *[1] * (len(primitives) - 1)]
    attributes = [primitive["attributes"] for primitive in primitives]
    lines = [world(each["POSITION"]) for each in attributes[1:]]
    return world(attributes[0]["POSITION"]), values(attributes[0]["COLOR_0"]), lines


def ply_points(path: Path) -> np.ndarray:
    """Points [N,3]."""
    return np.array(read_ply(path.read_bytes())[1])[:, :3]


@dataclass
class NerfFrame:
    """A frame of `transforms.json` as nerfstudio's parser takes it."""

    image: Path
    size: tuple[int, int]
    intrinsics: np.ndarray
    camera_to_world: np.ndarray  # [4,4], axes of OpenGL
    depth: np.ndarray

    def points(self) -> np.ndarray:
        """World points [H*W,3] by nerfstudio's rays: from px + 0.5, the camera looks along -z."""
        height, width = self.size
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        (fx, _, cx), (_, fy, cy), _ = self.intrinsics
        seen = np.stack([(x - cx) / fx, -(y - cy) / fy, -np.ones_like(x)], -1).reshape(-1, 3)
        seen = seen * self.depth.reshape(-1, 1)
        return seen @ self.camera_to_world[:3, :3].T + self.camera_to_world[:3, 3]


def read_nerfstudio(folder: Path) -> tuple[list[NerfFrame], Path]:
    """The frames, in the order of their file names, and the file of points."""
    meta = json.loads((folder / "transforms.json").read_text())
    assert meta["camera_model"] == "OPENCV"
    assert not {"k1", "k2", "k3", "p1", "p2", "applied_transform"} & set(meta)
    frames = []
    for frame in sorted(meta["frames"], key=lambda each: str(each["file_path"])):
        fx, fy, cx, cy = (float(frame[key]) for key in ("fl_x", "fl_y", "cx", "cy"))
        matrix = np.array(frame["transform_matrix"])
        assert matrix.shape == (4, 4)
        found = NerfFrame(
            folder / frame["file_path"],
            (int(frame["h"]), int(frame["w"])),
            np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
            matrix,
            np.load(folder / frame["depth_file_path"]) * 1e-3,
        )
        assert found.image.is_file()
        assert found.depth.shape == found.size
        frames.append(found)
    return frames, folder / meta["ply_file_path"]
