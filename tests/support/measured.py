"""Rendered scenes as networks and instruments see them: relative depth, points, sensors, models.

Every measurement has 1 % of noise, and a fifth of them is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from depth.family import DEPTH, RELATIVE_INVERSE
from depth.fitting.robust import ScaleShift
from depth.images.header import ImageHeader
from depth.maps.result import Map, Result
from tests.support.depth_samples import MADE_BY
from tests.support.rendered import Rendered

TRUTH = ScaleShift(0.11, 0.04)  # from what the network gives to inverse depth in metres
NOISE, WRONG = 0.01, 0.2
COUNT = 1500  # points of an image


def header(found: Rendered, orientation: int = 1) -> ImageHeader:
    """Of the images of a scene."""
    height, width = found.scene.size
    return ImageHeader(width, height, "PNG", "RGB", orientation)


def relative(found: Rendered, view: int, kind: str = RELATIVE_INVERSE) -> Result:
    """What a network without scale and shift gives of a view."""
    depth = found.scene.depth[view].astype(np.float64)
    true = 1 / depth if kind == RELATIVE_INVERSE else depth
    values = (true - TRUTH.shift) / TRUTH.scale
    return Result({DEPTH: Map(values.astype(np.float32), kind)}, MADE_BY)


def noisy(depth: np.ndarray, rng: np.random.Generator, wrong: float) -> np.ndarray:
    """Measurements of depth."""
    values = depth * (1 + NOISE * rng.standard_normal(depth.shape))
    outliers = rng.random(depth.shape) < wrong
    return np.where(outliers, rng.uniform(0.5, 12, depth.shape), values)


def measured(found: Rendered, view: int, seed: int = 0, wrong: float = WRONG) -> np.ndarray:
    """Points [N,3] of a view: x and y in px of its pixels, and noisy depth."""
    rng = np.random.default_rng([seed, view])
    height, width = found.scene.size
    x, y = rng.integers(0, width, COUNT), rng.integers(0, height, COUNT)
    return np.stack([x, y, noisy(found.scene.depth[view][y, x], rng, wrong)], 1)


def write_points(path: Path, rows: dict[str, np.ndarray]) -> Path:
    """A CSV file with the points of several images."""
    lines = ["x_px,y_px,depth_m,image"]
    for name, points in rows.items():
        lines += [f"{x:g},{y:g},{depth:.6f},{name}" for x, y, depth in points]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_sensor(
    path: Path, found: Rendered, view: int, shrink: int = 1, wrong: float = WRONG
) -> Path:
    """A PNG in millimetres; a third of it is 0."""
    rng = np.random.default_rng([1, view])
    depth = found.scene.depth[view][::shrink, ::shrink]
    codes = np.round(1000 * noisy(depth, rng, wrong)).astype(np.uint16)
    codes[rng.random(codes.shape) < 1 / 3] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), codes)
    return path


def write_model(
    folder: Path, found: Rendered, form: str = "bin", wrong: float = WRONG, unit: float = 1.0
) -> Path:
    """A COLMAP model of the views, `unit` of whose lengths are a metre."""
    points: list[tuple[np.ndarray, list[int]]] = []
    for view in range(len(found.scene)):
        extrinsics, lens = found.scene.extrinsics[view], found.scene.intrinsics[view]
        rows = measured(found, view, 2, wrong)
        seen = np.concatenate([rows[:, :2] + 0.5, np.ones((len(rows), 1))], 1)
        local = (seen @ np.linalg.inv(lens).T) * rows[:, 2:]
        world = (local - extrinsics[:, 3]) @ extrinsics[:, :3]
        points += [(place * unit, [view + 1]) for place in world]
    folder.mkdir(parents=True, exist_ok=True)
    write = _write_binary if form == "bin" else _write_text
    write(folder, found, points, unit)
    return folder


def _camera(found: Rendered) -> tuple[int, int, list[float]]:
    (height, width), lens = found.scene.size, found.scene.intrinsics[0]
    return width, height, [lens[0, 0], lens[1, 1], lens[0, 2], lens[1, 2]]


def _poses(found: Rendered, unit: float) -> list[list[float]]:
    """Quaternions w x y z and translations."""
    poses = []
    for extrinsics in found.scene.extrinsics:
        vector = cv2.Rodrigues(extrinsics[:, :3])[0].ravel()
        angle = float(np.linalg.norm(vector))
        axis = vector / angle if angle else vector
        turned = [np.cos(angle / 2), *(np.sin(angle / 2) * axis)]
        poses.append([*map(float, turned), *map(float, extrinsics[:, 3] * unit)])
    return poses


def _write_binary(
    folder: Path, found: Rendered, points: Sequence[tuple[np.ndarray, list[int]]], unit: float
) -> None:
    width, height, parameters = _camera(found)
    camera = struct.pack("<QIiQQ4d", 1, 1, 1, width, height, *parameters)
    (folder / "cameras.bin").write_bytes(camera)
    images = [struct.pack("<Q", len(found.scene))]
    for number, (name, pose) in enumerate(zip(found.scene.names, _poses(found, unit)), 1):
        images.append(struct.pack("<I7dI", number, *pose, 1) + name.encode() + b"\0")
        images.append(struct.pack("<Q", 0))
    (folder / "images.bin").write_bytes(b"".join(images))
    records = [struct.pack("<Q", len(points))]
    for number, (place, seen) in enumerate(points, 1):
        records.append(struct.pack("<Q3d3BdQ", number, *place, 9, 9, 9, 0.5, len(seen)))
        records += [struct.pack("<II", image, 0) for image in seen]
    (folder / "points3D.bin").write_bytes(b"".join(records))


def _write_text(
    folder: Path, found: Rendered, points: Sequence[tuple[np.ndarray, list[int]]], unit: float
) -> None:
    width, height, parameters = _camera(found)
    numbers = " ".join(map(repr, map(float, parameters)))
    (folder / "cameras.txt").write_text(f"# cameras\n1 PINHOLE {width} {height} {numbers}\n")
    lines = ["# images"]
    for number, (name, pose) in enumerate(zip(found.scene.names, _poses(found, unit)), 1):
        lines += [f"{number} {' '.join(map(repr, pose))} 1 {name}", ""]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    lines = ["# points"]
    for number, (place, seen) in enumerate(points, 1):
        track = " ".join(f"{image} 0" for image in seen)
        lines.append(f"{number} {' '.join(map(repr, map(float, place)))} 9 9 9 0.5 {track}")
    (folder / "points3D.txt").write_text("\n".join(lines) + "\n")
