"""COLMAP models by hand, in both forms, and cameras of every model for them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from depth.scenes.colmap.lenses import KINDS, Lens, kind_named

BENDS: dict[str, list[float]] = {
    "SIMPLE_RADIAL": [-0.1],
    "RADIAL": [-0.1, 0.02],
    "OPENCV": [-0.12, 0.03, 0.002, -0.001],
    "OPENCV_FISHEYE": [0.02, -0.01, 0.004, -0.001],
    "FULL_OPENCV": [0.1, -0.02, 0.001, -0.002, 0.003, 0.4, -0.01, 0.002],
    "FOV": [0.8],
    "SIMPLE_RADIAL_FISHEYE": [-0.03],
    "RADIAL_FISHEYE": [-0.03, 0.01],
    "THIN_PRISM_FISHEYE": [0.02, -0.01, 0.001, -0.002, 0.003, -0.001, 0.002, 0.001],
    "RAD_TAN_THIN_PRISM_FISHEYE": [0.02, -0.01, 0.003, -0.001, 0.0005, -0.0002]
    + [0.001, -0.002, 0.001, -0.0005, 0.002, 0.0003],
    "SIMPLE_DIVISION": [-0.1],
    "DIVISION": [-0.1],
    "EUCM": [0.6, 1.1],
}
SIZE = (48, 64)  # (height, width) px
POSE = (0.9, 0.1, -0.3, 0.3, 1.0, -2.0, 3.5)  # a quaternion of length 1, and a translation


def lens(name: str, size: tuple[int, int] = SIZE) -> Lens:
    """A camera of this model, whose view is wide; px of `size`."""
    kind, (height, width) = kind_named(name), size
    focals = [0.8 * width, 0.82 * width][: kind.focals]
    middle = [0.51 * width, 0.48 * height]
    return Lens(kind, size, (*focals, *middle, *BENDS.get(name, [])))


LENSES = [lens(kind.name) for kind in KINDS]


def write_binary(
    folder: Path, lenses: Sequence[Lens], names: Sequence[str], points: int = 2
) -> Path:
    """A model: each image has the camera of its place in the list, and sees some points."""
    folder.mkdir(parents=True, exist_ok=True)
    cameras = [struct.pack("<Q", len(lenses))]
    for number, each in enumerate(lenses, 1):
        (height, width), values = each.size, each.parameters
        head = struct.pack("<IiQQ", number, each.kind.number, width, height)
        cameras.append(head + struct.pack(f"<{len(values)}d", *values))
    (folder / "cameras.bin").write_bytes(b"".join(cameras))
    images = [struct.pack("<Q", len(names))]
    for number, name in enumerate(names, 1):
        camera = min(number, len(lenses))
        images.append(struct.pack("<I7dI", number, *POSE, camera) + name.encode() + b"\0")
        images.append(struct.pack("<Q", points) + struct.pack("<ddq", 1.5, 2.5, -1) * points)
    (folder / "images.bin").write_bytes(b"".join(images))
    return folder


def write_text(folder: Path, lenses: Sequence[Lens], names: Sequence[str]) -> Path:
    """The same in text; the line of points of every second image is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["# Camera list", ""]
    for number, each in enumerate(lenses, 1):
        (height, width), values = each.size, " ".join(map(repr, each.parameters))
        lines.append(f"{number} {each.kind.name} {width} {height} {values}")
    (folder / "cameras.txt").write_text("\n".join(lines) + "\n")
    lines = ["# Image list"]
    for number, name in enumerate(names, 1):
        pose = " ".join(map(repr, POSE))
        lines.append(f"{number} {pose} {min(number, len(lenses))} {name}")
        lines.append("1.5 2.5 -1 3.5 4.5 7" if number % 2 else "")
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    return folder
