"""Points and surfaces of panoramas: on the walls of a room, whatever the direction."""

from __future__ import annotations

import numpy as np
import pytest

from depth.errors import InputError
from depth.exports.files import encode_export
from depth.family import DEPTH, METRES
from depth.maps.projection import Projection
from depth.maps.result import Map, Result
from depth.steps.focal import FocalAsked
from tests.support.depth_samples import MADE_BY
from tests.support.room import panorama, seen

SIZE = (60, 120)
ROOM = panorama(SIZE)
PROJECTION = Projection("equirectangular", "along the ray", "scale", 0.01, 0.02, 1.0, 0.0, ())
RESULT = Result(
    {DEPTH: Map(ROOM.distance.astype(np.float32), METRES)}, MADE_BY, projection=PROJECTION
)


def test_points_of_a_panorama_lie_where_the_room_is() -> None:
    data = encode_export(RESULT, ROOM.colour, "ply")
    header, body = data.split(b"end_header\n", 1)
    kind = [(axis, "<f4") for axis in "xyz"] + [(colour, "u1") for colour in ("r", "g", "b")]
    vertices = np.frombuffer(body, np.dtype(kind))
    assert len(vertices) > 0.9 * SIZE[0] * SIZE[1]
    # The file has y up and looks along -z.
    points = np.stack([vertices["x"], -vertices["y"], -vertices["z"]], 1).astype(np.float64)
    length = np.linalg.norm(points, axis=1)
    true = seen((points / length[:, np.newaxis]).astype(np.float32))
    assert np.quantile(np.abs(length / true.distance - 1), 0.9) < 1e-3
    colours = np.stack([vertices["b"], vertices["g"], vertices["r"]], 1)
    assert np.median(np.abs(colours.astype(int) - true.colour)) == 0
    assert b'comment field_of_view.projection "equirectangular"' in header
    assert points[:, 1].min() < -1 < 1 < points[:, 1].max()


def test_a_surface_of_a_panorama_is_a_file_too() -> None:
    assert encode_export(RESULT, ROOM.colour, "glb")[:4] == b"glTF"


def test_a_camera_is_refused_for_a_panorama() -> None:
    with pytest.raises(InputError, match="sees everything around: leave --focal-px and --fov-deg"):
        encode_export(RESULT, ROOM.colour, "ply", FocalAsked(fov_deg=60))
