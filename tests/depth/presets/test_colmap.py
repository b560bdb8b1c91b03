"""Normals beside COLMAP's depth maps, without COLMAP."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from depth.family import METRES
from depth.maps.result import FloatArray
from depth.presets import colmap
from depth.presets.colmap import encode_mat, normals_of
from depth.presets.encode import preset_files
from depth.presets.shot import Pinhole, Shot
from depth.presets.values import Numbers
from tests.support.consumers import FOCAL, HEIGHT, SHOT, WIDTH, metres, written
from tests.support.depth_samples import ramp, result

CAMERA = Pinhole(WIDTH, HEIGHT, FOCAL, 1.1 * FOCAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)


def plane(normal: tuple[float, float, float], distance: float) -> FloatArray:
    """Distances along the optical axis of a plane, [H,W]: normal · point = -distance."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    rays = np.stack([(x - CAMERA.cx) / CAMERA.fx, (y - CAMERA.cy) / CAMERA.fy, np.ones_like(x)])
    along = np.tensordot(np.array(normal), rays, 1)
    found: FloatArray = (-distance / along).astype(np.float32)
    return found


def numbers(values: FloatArray) -> Numbers:
    return Numbers(values, values > 0)


def test_the_normal_of_a_plane_points_to_the_camera_and_is_exact() -> None:
    for normal in ((0.0, 0.0, -1.0), (0.6, 0.0, -0.8), (0.0, -0.6, -0.8), (0.48, 0.36, -0.8)):
        found = normals_of(numbers(plane(normal, 2.0)), CAMERA)
        assert found.shape == (3, HEIGHT, WIDTH)
        assert np.abs(found - np.reshape(normal, (3, 1, 1))).max() < 1e-4


def test_an_edge_between_two_planes_leaves_their_normals_alone() -> None:
    left, right = (0.6, 0.0, -0.8), (0.0, 0.0, -1.0)
    values = plane(left, 1.0)
    values[:, 20:] = plane(right, 9.0)[:, 20:]
    found = normals_of(numbers(values), CAMERA)
    for part, normal in ((found[:, :, :20], left), (found[:, :, 20:], right)):
        assert np.abs(part - np.reshape(normal, (3, 1, 1))).max() < 1e-4


def test_a_hole_has_no_normal_and_spoils_none_beside() -> None:
    normal = (0.6, 0.0, -0.8)
    values = plane(normal, 2.0)
    values[4:7, 5] = 0
    found = normals_of(numbers(values), CAMERA)
    assert not found[:, 4:7, 5].any()
    kept = values > 0
    assert np.abs(found[:, kept] - np.reshape(normal, (3, 1))).max() < 1e-4
    alone = np.zeros((HEIGHT, WIDTH), np.float32)
    alone[3, 3] = 2
    assert np.linalg.norm(normals_of(numbers(alone), CAMERA)[:, 3, 3]) == 1


def test_strips_of_rows_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    values = ramp(HEIGHT, WIDTH)
    values[9:12, 3:20] = 0
    whole = normals_of(numbers(values), CAMERA)
    for rows in (1, 7, HEIGHT):
        monkeypatch.setattr(colmap, "_ROWS", rows)
        assert np.array_equal(normals_of(numbers(values), CAMERA), whole)


def test_normals_are_written_channel_after_channel() -> None:
    values = np.arange(3 * 2 * 4, dtype=np.float32).reshape(3, 2, 4)
    data = encode_mat(values)
    assert data.startswith(b"4&2&3&")
    assert np.frombuffer(data[6:], "<f4").tolist() == list(range(24))


def test_the_preset_has_normals_under_the_name_of_the_depth(tmp_path: Path) -> None:
    depth, normals = written(tmp_path, "colmap", metres(), "a.jpg")[:2]
    assert depth == tmp_path / "depth_maps/a.jpg.geometric.bin"
    assert normals == tmp_path / "normal_maps/a.jpg.geometric.bin"
    header = re.match(rb"(\d+)&(\d+)&(\d+)&", normals.read_bytes())
    assert header is not None
    assert [int(part) for part in header.groups()] == [WIDTH, HEIGHT, 3]


def test_the_json_says_which_camera_the_normals_have() -> None:
    found = result(ramp(HEIGHT, WIDTH), METRES, None)
    known = preset_files("colmap", found, "a.jpg", SHOT).facts
    assert known.facts == {"focal_px": [FOCAL, FOCAL], "focal_assumed": False}
    assert "32.5" in known.asked, "another camera makes the files again"
    assumed = preset_files("colmap", found, "a.jpg", Shot()).facts
    assert assumed.facts["focal_assumed"]
    assert assumed.asked == ""
