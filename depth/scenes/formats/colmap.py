"""`colmap`: a sparse model in binary and in text, with tracks that views share, and its images.

The formats: COLMAP's documentation, "Output Format". A camera for each view, all PINHOLE.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from depth.scenes.formats import images
from depth.scenes.formats.files import Files
from depth.scenes.geometry import quaternion
from depth.scenes.options import Options
from depth.scenes.scene import Doubles, Scene
from depth.scenes.tracks import Indices, Tracks, tracks_of
from depth.scenes.view import Frame, frame_of

FOLDER = "sparse/0"
PARTS = ("cameras", "images", "points3D")

_BINARY, _TEXT = "bin", "txt"
_PINHOLE, _PINHOLE_ID = "PINHOLE", 1
_OBSERVATION = np.dtype([("x", "<f8"), ("y", "<f8"), ("point", "<i8")])


@dataclass(frozen=True, eq=False)
class Model:
    """What the files say. Cameras, images and points are numbered from 1.

    pose    [S,7]: quaternion w x y z and translation, world to camera
    places  [O,2] px of the frames
    order   observations, sorted by point; `number` is their place in their image
    """

    frames: list[Frame]
    names: list[str]
    pose: Doubles
    tracks: Tracks
    places: Doubles
    order: Indices
    number: Indices

    def of_image(self, view: int) -> slice:
        """The observations of a view."""
        start, stop = np.searchsorted(self.tracks.view, [view, view + 1])
        return slice(int(start), int(stop))

    def of_points(self) -> Iterator[tuple[list[int], list[int]]]:
        """For each point the numbers of its images, and of its observations in them."""
        starts = np.concatenate([[0], np.cumsum(self.tracks.lengths())]).tolist()
        images = (self.tracks.view[self.order] + 1).tolist()
        numbers = self.number[self.order].tolist()
        for start, stop in zip(starts, starts[1:]):
            yield images[start:stop], numbers[start:stop]


def files(scene: Scene, options: Options) -> Files:
    """The model, and the images if the scene has any. Raises InputError if no point is left."""
    model = model_of(scene, options)
    writers = {
        _BINARY: (_cameras_bin, _images_bin, _points_bin),
        _TEXT: (_cameras_txt, _images_txt, _points_txt),
    }
    found = {
        f"{FOLDER}/{part}.{kind}": partial(written, model)
        for kind in _forms(scene)
        for part, written in zip(PARTS, writers[kind])
    }
    return {**found, **images.files(scene, options)}


def _forms(scene: Scene) -> list[str]:
    """Binary, and text unless a name has a space: COLMAP's text ends a name there."""
    spaces = any(map(str.isspace, "".join(scene.names)))
    return [_BINARY] if spaces else [_BINARY, _TEXT]


def model_of(scene: Scene, options: Options) -> Model:
    """The model of a scene at the size of the options."""
    file_names = images.file_names(scene)
    frames = [frame_of(scene, view, options.size) for view in range(len(scene))]
    pose = np.stack([np.append(quaternion(e[:, :3]), e[:, 3]) for e in scene.extrinsics])
    tracks = tracks_of(scene, options)
    starts = np.searchsorted(tracks.view, np.arange(len(scene)))
    places = np.empty_like(tracks.places)
    for view, frame in enumerate(frames):
        seen = tracks.view == view
        places[seen] = frame.places(tracks.places[seen])
    number = np.arange(len(tracks.view)) - starts[tracks.view]
    order = np.lexsort((tracks.view, tracks.point))
    return Model(frames, file_names, pose, tracks, places, order, number)


def _camera(frame: Frame) -> tuple[int, int, list[float]]:
    """Width, height, and fx, fy, cx, cy."""
    (height, width), matrix = frame.size, frame.intrinsics
    return width, height, [float(matrix[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2))]


def _cameras_bin(model: Model) -> bytes:
    parts = [struct.pack("<Q", len(model.frames))]
    for view, frame in enumerate(model.frames):
        width, height, parameters = _camera(frame)
        parts.append(struct.pack("<iiQQ4d", view + 1, _PINHOLE_ID, width, height, *parameters))
    return b"".join(parts)


def _images_bin(model: Model) -> bytes:
    parts = [struct.pack("<Q", len(model.names))]
    for view, name in enumerate(model.names):
        seen = model.of_image(view)
        rows = np.empty(seen.stop - seen.start, _OBSERVATION)
        rows["x"], rows["y"] = model.places[seen].T
        rows["point"] = model.tracks.point[seen] + 1
        parts.append(struct.pack("<i7di", view + 1, *model.pose[view], view + 1))
        parts += [name.encode() + b"\0", struct.pack("<Q", len(rows)), rows.tobytes()]
    return b"".join(parts)


def _points_bin(model: Model) -> bytes:
    parts = [struct.pack("<Q", len(model.tracks.points))]
    points, colours = model.tracks.points.tolist(), model.tracks.colours.tolist()
    for number, (views, observations) in enumerate(model.of_points()):
        head = struct.pack("<Q3d3BdQ", number + 1, *points[number], *colours[number], 0, len(views))
        pairs = [value for pair in zip(views, observations) for value in pair]
        parts += [head, struct.pack(f"<{len(pairs)}i", *pairs)]
    return b"".join(parts)


def _cameras_txt(model: Model) -> bytes:
    lines = ["# CAMERA_ID MODEL WIDTH HEIGHT FX FY CX CY"]
    for view, frame in enumerate(model.frames):
        width, height, parameters = _camera(frame)
        lines.append(f"{view + 1} {_PINHOLE} {width} {height} {_numbers(parameters)}")
    return _joined(lines)


def _images_txt(model: Model) -> bytes:
    lines = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then lines of X Y POINT3D_ID"]
    for view, name in enumerate(model.names):
        seen = model.of_image(view)
        rows = zip(model.places[seen].tolist(), (model.tracks.point[seen] + 1).tolist())
        lines.append(f"{view + 1} {_numbers(model.pose[view].tolist())} {view + 1} {name}")
        lines.append(" ".join(f"{x!r} {y!r} {point}" for (x, y), point in rows))
    return _joined(lines)


def _points_txt(model: Model) -> bytes:
    lines = ["# POINT3D_ID X Y Z R G B ERROR, then pairs of IMAGE_ID POINT2D_IDX"]
    points, colours = model.tracks.points.tolist(), model.tracks.colours.tolist()
    for number, (views, observations) in enumerate(model.of_points()):
        track = " ".join(f"{view} {place}" for view, place in zip(views, observations))
        said = f"{_numbers(points[number])} {_numbers(colours[number])}"
        lines.append(f"{number + 1} {said} 0 {track}")
    return _joined(lines)


def _numbers(values: list[float]) -> str:
    return " ".join(map(repr, values))  # every digit: the text says what the binary says


def _joined(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
