"""Distortion is undone: rays agree with pycolmap, and images with what a pinhole would see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.errors import InputError
from depth.scenes.colmap.folder import read_model
from depth.scenes.colmap.lenses import KINDS, Lens
from depth.scenes.colmap.undistorted import pinhole_of
from tests.support.colmap_models import LENSES, SIZE, lens

H, W = SIZE


def grid(step: int = 8) -> tuple[Any, Any]:
    """Px of an image, from corner to corner."""
    return np.meshgrid(np.linspace(0, W, step), np.linspace(0, H, step))


def ray_of(each: Lens, columns: Any, rows: Any) -> Any:
    """Rays of px: the place that a ray misses by is added until it misses by nothing."""
    fx, fy, cx, cy = each.pinhole
    x, y = (columns - cx) / fx, (rows - cy) / fy
    for _ in range(300):
        across, down = each.places(x, y)
        x, y = x + 0.5 * (columns - across) / fx, y + 0.5 * (rows - down) / fy
    assert max(np.abs(columns - across).max(), np.abs(rows - down).max()) < 1e-6
    return x, y


@pytest.mark.parametrize("each", LENSES, ids=lambda each: each.kind.name)
def test_every_px_of_an_undistorted_image_was_seen(each: Lens) -> None:
    pinhole = pinhole_of(each)
    across, down = pinhole.places(*grid())
    assert (across > -1).all()
    assert (across < W + 1).all()
    assert (down > -1).all()
    assert (down < H + 1).all()
    zoom = pinhole.matrix[0, 0] / each.matrix[0, 0]
    assert 1 <= zoom < 2
    assert pinhole.matrix[1, 1] / each.matrix[1, 1] == pytest.approx(zoom)
    assert np.array_equal(pinhole.matrix[:2, 2], each.matrix[:2, 2])


@pytest.mark.parametrize("each", LENSES, ids=lambda each: each.kind.name)
def test_an_image_is_what_the_pinhole_sees(each: Lens) -> None:
    """A picture painted by the rays of its px is, without distortion, that of the pinhole."""
    pinhole = pinhole_of(each)
    columns, rows = np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5)

    def painted(x: Any, y: Any) -> Any:
        return np.stack([120 + 90 * np.sin(2 * x), 120 + 90 * np.cos(2 * y), 100 + 60 * x * y], -1)

    u, v = ray_of(each, columns, rows)
    image = np.round(painted(u, v)).astype(np.uint8)
    x = (columns - pinhole.matrix[0, 2]) / pinhole.matrix[0, 0]
    y = (rows - pinhole.matrix[1, 2]) / pinhole.matrix[1, 1]
    assert np.abs(pinhole.image(image) - painted(x, y))[1:-1, 1:-1].max() < 2
    if not each.straight:  # the planted mistake: nothing is undone
        assert np.abs(image - painted(x, y)).max() > 2


def test_images_of_a_pinhole_stay_as_they_are() -> None:
    image = np.random.default_rng(0).integers(0, 256, (H, W, 3)).astype(np.uint8)
    for name in ("PINHOLE", "SIMPLE_PINHOLE"):
        assert pinhole_of(lens(name)).image(image) is image
        assert np.array_equal(pinhole_of(lens(name)).matrix, lens(name).matrix)
    flat = lens("OPENCV")
    flat = replace(flat, parameters=(*flat.parameters[:4], 0.0, 0.0, 0.0, 0.0))
    assert np.array_equal(pinhole_of(flat).image(image), image)
    with pytest.raises(InputError, match="of a camera of 64x48 px"):
        pinhole_of(flat).image(image[:-1])


@pytest.mark.parametrize(
    ("name", "bends"),
    [
        ("SIMPLE_RADIAL", [-80.0]),
        ("OPENCV", [0.0, 0.0, 9.0, 9.0]),
        ("FULL_OPENCV", [0.0, 0, 0, 0, 0, -900.0, 0, 0]),
        ("SIMPLE_DIVISION", [1e5]),
        ("EUCM", [-1e3, 1.0]),
    ],
)
def test_a_distortion_that_folds_the_picture_is_refused(name: str, bends: list[float]) -> None:
    made = lens(name)
    made = replace(made, parameters=(*made.parameters[: made.kind.focals + 2], *bends))
    with pytest.raises(InputError, match=f"a camera {name} .*cannot be undone"):
        pinhole_of(made)


def test_a_side_that_opencv_does_not_take() -> None:
    with pytest.raises(InputError, match="40000 px a side"):
        pinhole_of(lens("FOV", (10, 40_000)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("text", [False, True], ids=["bin", "txt"])
def test_models_that_pycolmap_writes(kind: Any, text: bool, tmp_path: Path) -> None:
    """Our rays are those of pycolmap: to 1e-6, as `cam_from_img` solves them."""
    pycolmap = pytest.importorskip("pycolmap", minversion="4.0")
    if not hasattr(pycolmap.CameraModelId, kind.name):
        pytest.skip(f"this pycolmap has no {kind.name}")
    made = lens(kind.name)
    camera = pycolmap.Camera(
        camera_id=3, model=kind.name, width=W, height=H, params=list(made.parameters)
    )
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(camera)
    turn = pycolmap.Rotation3d(np.array([0.1, -0.3, 0.3, 0.9]))  # x y z w
    pose = pycolmap.Rigid3d(turn, np.array([1.0, -2, 3.5]))
    image = pycolmap.Image(name="a b/c.jpg" if not text else "a/c.jpg", camera_id=3, image_id=5)
    model.add_image_with_trivial_frame(image, pose)
    (model.write_text if text else model.write_binary)(str(tmp_path))
    (found,) = read_model(tmp_path)
    assert found.name == image.name
    assert found.lens.kind == kind
    assert np.allclose(found.extrinsics, pose.matrix(), atol=1e-12)
    pinhole = pinhole_of(found.lens)
    columns, rows = grid()
    places = np.stack(pinhole.places(columns, rows), -1).reshape(-1, 2)
    rays = np.asarray(camera.cam_from_img(places))[:, :2].reshape(*columns.shape, 2)
    ours = np.stack([columns, rows], -1) - pinhole.matrix[:2, 2]
    assert np.abs(rays - ours / (pinhole.matrix[0, 0], pinhole.matrix[1, 1])).max() < 1e-6
