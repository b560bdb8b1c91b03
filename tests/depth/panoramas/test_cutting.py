"""Cube faces and tangent views out of a panorama: depth along their axes, cameras, files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.errors import InputError
from depth.family import DEPTH, METRES, RELATIVE_INVERSE
from depth.maps.files import not_whole, read_depth, read_sidecar, write_result
from depth.maps.result import Map, Result
from depth.panoramas.cutting import Cutting, quaternion, side_of
from depth.panoramas.geometry import View, rays, slant
from depth.panoramas.joining import joined
from depth.panoramas.layouts import CUBE, Layout, layout_named
from depth.panoramas.sampling import Sphere
from depth.presets.encode import preset_files
from depth.presets.files import result_names, save_result
from depth.presets.names import CUBE_FACES, TANGENT_VIEWS
from depth.presets.shot import Shot
from tests.support.depth_samples import MADE_BY
from tests.support.room import depth_of, picture

SIZE, SOURCE = (96, 192), {"path": "room.jpg", "width_px": 192, "height_px": 96}
PICTURE = picture(SIZE)


def result_of(kind: str, layout: Layout) -> Result:
    """A panorama of the room, joined of views without errors."""
    views = (depth_of(view, 96) for view in layout.views)
    values = (1 / each if kind == RELATIVE_INVERSE else each for each in views)
    found = joined(layout, [{DEPTH: Map(each, kind)} for each in values], SIZE)
    return Result(found.maps, MADE_BY, projection=found.projection)


@pytest.fixture(scope="module")
def metres() -> Result:
    return result_of(METRES, layout_named("cube6"))


@pytest.mark.parametrize("kind", [METRES, RELATIVE_INVERSE])
def test_faces_are_the_panorama_resampled_and_say_depth_along_their_axes(kind: str) -> None:
    result = result_of(kind, layout_named("tangent10"))
    cutting = Cutting(result, PICTURE, CUBE)
    faces = [cutting.cut(view) for view in cutting.views]
    assert [face.view.name for face in faces] == ["front", "right", "back", "left", "up", "down"]
    for face in faces:
        side = len(face.pixels)
        values = face.result.depth.values
        assert values.shape == (side, side) == face.pixels.shape[:2]
        assert face.result.depth.kind == kind
        assert face.result.projection is None
        true = depth_of(face.view, side)
        measured = values if kind == METRES else 1 / values
        ratio = measured / true
        assert np.quantile(np.abs(ratio / np.median(ratio) - 1), 0.9) < 0.03
        # The same numbers as the panorama's in these directions.
        whole = result.depth.values if kind == RELATIVE_INVERSE else 1 / result.depth.values
        along = Sphere(whole).along(rays(face.view, side)) * slant(face.view, side)
        assert np.allclose(values if kind == RELATIVE_INVERSE else 1 / values, along, rtol=1e-5)


def test_the_side_of_a_view_is_as_fine_as_the_panorama() -> None:
    assert side_of(CUBE[0], 5760) == 1834  # 90 degrees at 5760 / 2 pi px a radian
    assert side_of(CUBE[0], 10) == 16


@pytest.mark.parametrize("place", [(0, 0), (90, 0), (-135, 0), (0, 90), (0, -90), (30, 40)])
def test_quaternions_turn_as_the_rotation_does(place: tuple[int, int]) -> None:
    view = View("one", *place, 90)
    w, *axis = quaternion(view)
    vector = np.array([0.3, -0.5, 0.8])
    turned = vector + 2 * np.cross(axis, np.cross(axis, vector) + w * vector)
    assert np.allclose(turned, view.rotation.T @ vector)


def test_files_of_cube_faces_are_listed_and_say_what_they_hold(
    tmp_path: Path, metres: Result
) -> None:
    shot = Shot.of(SOURCE, pixels=PICTURE)
    written = save_result(metres, tmp_path / "room", ["png"], SOURCE, False, CUBE_FACES, shot)
    names = {path.relative_to(tmp_path).as_posix() for path in written}
    assert names == {
        *(f"cube/images/{face.name}/room.jpg" for face in CUBE),
        *(f"cube/depth/{face.name}/room.png" for face in CUBE),
        "cube/rig_62.json",
        *("room.png", "room.confidence.png", "room.json"),
    }
    maps = ("depth", "confidence")
    assert set(result_names("room", ["png"], False, maps, CUBE_FACES)) == names - {
        "cube/rig_62.json"
    }
    sidecar = read_sidecar(tmp_path / "room.json")
    assert not_whole(sidecar, tmp_path, ()) == ""
    assert sidecar.preset
    views = sidecar.preset.facts["views"]
    right = next(each for each in views if each["name"] == "right")
    assert np.allclose(right["rotation_to_world"], CUBE[1].rotation)
    assert np.allclose(right["intrinsics"], [[31, 0, 30.5], [0, 31, 30.5], [0, 0, 1]])
    for face in CUBE:
        depth = read_depth(tmp_path / f"cube/depth/{face.name}/room.png")
        assert depth.depth.kind == METRES
        assert depth.projection is None
        assert depth.provenance.steps[-1] == f"cut({face.name})"
        ratio = depth.depth.values / depth_of(face, 62)
        assert np.quantile(np.abs(ratio / np.median(ratio) - 1), 0.9) < 0.05
        assert cv2.imread(str(tmp_path / f"cube/images/{face.name}/room.jpg")).shape == (62, 62, 3)
    (tmp_path / "cube/depth/up/room.png").write_bytes(b"else")
    assert not_whole(sidecar, tmp_path, ()) == "cube/depth/up/room.png"


def test_a_rig_of_colmap_has_a_reference_rotations_and_pinhole_cameras(metres: Result) -> None:
    files = preset_files(TANGENT_VIEWS, metres, "room", Shot.of(SOURCE, pixels=PICTURE)).files
    name, data = files["rig"]
    (rig,) = json.loads(data)
    first, *others = rig["cameras"]
    side = int(name.removeprefix("views/rig_").removesuffix(".json"))
    view = layout_named("cube6").views[0]
    assert first["ref_sensor"] is True
    assert first["image_prefix"] == "view0/"
    assert [each["image_prefix"] for each in others] == [
        "view1/",
        "view2/",
        "view3/",
        "up/",
        "down/",
    ]
    for camera in rig["cameras"]:
        focal = view.focal_px(side)
        assert camera["camera_model_name"] == "PINHOLE"
        assert camera["camera_params"] == [focal, focal, side / 2, side / 2]
        assert f"views/images/{camera['image_prefix']}room.jpg" in {
            each for each, _ in files.values()
        }
    # The view to the right sees what is to the right of the rig straight ahead.
    w, *axis = others[0]["cam_from_rig_rotation"]
    right = np.array([1.0, 0, 0])
    assert np.allclose(right + 2 * np.cross(axis, np.cross(axis, right) + w * right), [0, 0, 1])


def test_what_cannot_be_cut_is_refused(metres: Result) -> None:
    ordinary = replace(metres, projection=None)
    with pytest.raises(InputError, match="of an ordinary image: expected one of a panorama"):
        Cutting(ordinary, PICTURE, CUBE)
    with pytest.raises(InputError, match="twice as wide as high"):
        Cutting(metres, PICTURE[:, :96], CUBE)
    with pytest.raises(InputError, match="cuts a panorama and its image: give both"):
        preset_files(CUBE_FACES, metres, "room")
    with pytest.raises(InputError, match="cuts a panorama and its image: give both"):
        preset_files(CUBE_FACES, ordinary, "room", Shot.of(SOURCE, pixels=PICTURE))


def test_presets_of_ordinary_images_refuse_panoramas(metres: Result) -> None:
    with pytest.raises(InputError, match="preset nyu: .* take its cube faces, with --cube-faces"):
        preset_files("nyu", metres, "room")


def test_files_of_panoramas_say_their_projection_and_others_do_not(
    tmp_path: Path, metres: Result
) -> None:
    write_result(metres, tmp_path / "room", ["png", "npz"], SOURCE)
    assert read_depth(tmp_path / "room.json").projection == metres.projection
    assert read_depth(tmp_path / "room.png").projection == metres.projection
    said = json.loads((tmp_path / "room.json").read_text())
    assert said["maps"]["depth"]["meaning"] == "distance along the ray in metres"
    assert said["projection"]["kind"] == "equirectangular"
    ordinary = Result({DEPTH: metres.depth}, MADE_BY)
    write_result(ordinary, tmp_path / "plain", ["png"], SOURCE)
    said = json.loads((tmp_path / "plain.json").read_text())
    assert "projection" not in said
    assert said["maps"]["depth"]["meaning"] == "distance along the optical axis in metres"
    assert read_depth(tmp_path / "plain.json").projection is None
