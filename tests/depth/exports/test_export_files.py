"""GLB and PLY, read back by the formats' own words, and by trimesh if it is there."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from depth.errors import InputError
from depth.exports.files import EXPORTS, MEDIA_TYPES, encode_export
from depth.exports.surface import SKY_FROM
from depth.family import DEPTH, FOCAL_NORMALISED, METRES, RELATIVE_INVERSE, SKY
from depth.maps.result import MODEL, Map, Result
from depth.steps.focal import FocalAsked
from tests.support.depth_samples import MADE_BY, ramp, result
from tests.support.exported import HEIGHT, WIDTH, accessor, image, metric, read_glb, read_ply


def test_a_glb_is_the_surface_with_its_image() -> None:
    document, binary = read_glb(encode_export(metric(), image(), "glb", FocalAsked(fov_deg=90)))
    (primitive,) = document["meshes"][0]["primitives"]
    points = accessor(document, binary, primitive["attributes"]["POSITION"])
    places = accessor(document, binary, primitive["attributes"]["TEXCOORD_0"])
    triangles = accessor(document, binary, primitive["indices"])
    assert len(points) == len(places) == HEIGHT * WIDTH
    assert len(triangles) == 6 * (HEIGHT - 1) * (WIDTH - 1)
    assert triangles.max() == len(points) - 1
    np.testing.assert_allclose(-points[:, 2].reshape(HEIGHT, WIDTH), ramp(HEIGHT, WIDTH, 2.0, 2.5))
    np.testing.assert_allclose(points[0, :2] / 2.0, [-6 / 6.5, 4 / 6.5], rtol=1e-6)
    np.testing.assert_allclose(places[0], [0.5 / WIDTH, 0.5 / HEIGHT], rtol=1e-6)
    np.testing.assert_allclose(places[-1], [1 - 0.5 / WIDTH, 1 - 0.5 / HEIGHT], rtol=1e-6)
    texture = document["bufferViews"][document["images"][0]["bufferView"]]
    start = texture["byteOffset"]
    jpeg = np.frombuffer(binary[start : start + texture["byteLength"]], np.uint8)
    pixels = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert np.abs(pixels.astype(int) - image()).max() < 40


def test_a_glb_says_how_it_was_made() -> None:
    document, _ = read_glb(encode_export(metric(), image(), "glb", FocalAsked(fov_deg=90)))
    assert document["asset"]["version"] == "2.0"
    about = document["asset"]["extras"]
    assert (about["kind"], about["unit"], about["relation"]) == (METRES, "m", "z = d")
    assert about["provenance"]["model"] == MADE_BY.model
    assert about["provenance"]["artifact"] == MADE_BY.artifact
    assert about["provenance"]["trained"] is True
    field = about["field_of_view"]
    assert (field["horizontal_deg"], field["assumed"], field["source"]) == (90.0, False, "fov_deg")
    assert document["extensionsUsed"] == ["KHR_materials_unlit"]


def test_a_ply_has_the_same_points_and_their_colours() -> None:
    asked = FocalAsked(focal_px=20.0)
    document, binary = read_glb(encode_export(metric(), image(), "glb", asked))
    comments, rows = read_ply(encode_export(metric(), image(), "ply", asked))
    points = accessor(document, binary, 0)
    np.testing.assert_allclose([row[:3] for row in rows], points, rtol=1e-6)
    colours = np.array([row[3:] for row in rows]).reshape(HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(colours, image()[..., ::-1])
    assert comments["unit"] == "m"
    assert comments["field_of_view.assumed"] is False
    assert comments["field_of_view.focal_px"] == [20.0, 20.0]
    assert comments["provenance.artifact"] == MADE_BY.artifact


@pytest.mark.parametrize("kind", EXPORTS)
def test_an_assumed_field_of_view_is_said(kind: str) -> None:
    values = np.ones((HEIGHT, WIDTH), np.float32)
    values[:, 5:] = 4.0  # a ramp of so few px would be all edges
    data = encode_export(result(values, RELATIVE_INVERSE), image(), kind)
    if kind == "ply":
        comments, _ = read_ply(data)
        found = {name.rpartition(".")[2]: value for name, value in comments.items()}
    else:
        about = read_glb(data)[0]["asset"]["extras"]
        found = {**about, **about["field_of_view"]}
    assert found["assumed"] is True
    assert found["horizontal_deg"] == 60.0
    assert found["unit"] is None
    assert "the true scale and shift are unknown" in found["relation"]


def test_an_assumed_camera_makes_no_metres() -> None:
    depth = Map(ramp(HEIGHT, WIDTH, 2.0, 2.5), FOCAL_NORMALISED, focal_divisor=300.0)
    found = Result({DEPTH: depth}, MADE_BY)
    units = []
    for asked in (FocalAsked(), FocalAsked(focal_px=20.0)):
        document, _ = read_glb(encode_export(found, image(), "glb", asked))
        units.append(document["asset"]["extras"]["unit"])
    assert units == [None, "m"]


def test_the_sky_is_left_out() -> None:
    sky = np.zeros((HEIGHT, WIDTH), np.float32)
    sky[:3] = SKY_FROM
    found = Result({DEPTH: metric().depth, SKY: Map(sky, SKY)}, MADE_BY)
    comments, rows = read_ply(encode_export(found, image(), "ply"))
    assert len(rows) == (HEIGHT - 3) * WIDTH
    assert comments["dropped.sky"] == 3 * WIDTH


def test_a_map_of_the_network_s_size_lies_on_the_whole_image() -> None:
    small = replace(metric(), provenance=replace(MADE_BY, output_size=MODEL))
    large = image(90, 130)
    asked = FocalAsked(fov_deg=60)
    document, binary = read_glb(encode_export(small, large, "glb", asked))
    points, places = accessor(document, binary, 0), accessor(document, binary, 1)
    np.testing.assert_allclose(places[[0, -1]], [[0.5 / 130, 0.5 / 90], [129.5 / 130, 89.5 / 90]])
    focal_px = 65 / np.tan(np.radians(30))
    np.testing.assert_allclose(points[0, 0], -64.5 / focal_px * 2.0, rtol=1e-6)
    reduced = encode_export(small, image(45, 65), "glb", asked, image_size=(90, 130))
    np.testing.assert_array_equal(accessor(*read_glb(reduced), 0), points)


@pytest.mark.parametrize(
    ("kind", "pixels", "text"),
    [
        ("obj", image(), "export 'obj': expected one of glb, ply"),
        ("glb", image(WIDTH, HEIGHT), "depth is 13 x 9 px, the image 9 x 13 px"),
        ("glb", image()[..., 0], r"image of uint8 \(9, 13\)"),
        ("ply", image().astype(np.float32), "image of float32"),
    ],
)
def test_what_does_not_belong_together_is_refused(kind: str, pixels: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        encode_export(metric(), pixels, kind)


def test_the_texture_of_a_large_image_is_reduced() -> None:
    found = result(ramp(30, 3000, 2.0, 2.5), METRES)
    document, binary = read_glb(encode_export(found, image(30, 3000), "glb"))
    view = document["bufferViews"][3]
    jpeg = np.frombuffer(binary[view["byteOffset"] :][: view["byteLength"]], np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (20, 2048, 3)


@pytest.mark.parametrize("kind", EXPORTS)
def test_trimesh_reads_the_same(kind: str) -> None:
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed: a second reader")
    loaded = trimesh.load(io.BytesIO(encode_export(metric(), image(), kind)), file_type=kind)
    parts = getattr(loaded, "geometry", {"": loaded}).values()
    found = np.concatenate([each.vertices for each in parts])
    rows = np.array(read_ply(encode_export(metric(), image(), "ply"))[1])
    np.testing.assert_allclose(found.min(0), rows[:, :3].min(0), rtol=1e-6)
    np.testing.assert_allclose(found.max(0), rows[:, :3].max(0), rtol=1e-6)


def test_every_kind_has_a_media_type() -> None:
    assert set(MEDIA_TYPES) == set(EXPORTS)
