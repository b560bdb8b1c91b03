"""A result of one image as a scene: for models that give no camera."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depth.errors import InputError
from depth.exports.view import View, view_of
from depth.family import CONFIDENCE, DEPTH, FOCAL_NORMALISED, METRES, RELATIVE_DEPTH, SKY
from depth.maps.result import EXIF, MODEL, Map, Result
from depth.scenes.export import FORMATS, export_scene
from depth.scenes.options import OWN, SOURCE
from depth.scenes.single import scene_of
from depth.scenes.view import frame_of
from depth.steps.focal import NOTHING_ASKED, FocalAsked
from tests.support.depth_samples import MADE_BY, ramp, result
from tests.support.exported import HEIGHT, WIDTH, image, metric
from tests.support.scene_readers import ply_points

RGB = np.ascontiguousarray(image()[..., ::-1])
OF_SEVERAL = ("feat_vis", "gs_ply", "gs_video")  # which models of one view do not give
KNOWN = View(10.0, 10.0, (HEIGHT, WIDTH), EXIF)


def test_metres_with_a_focal_length_are_a_scene(tmp_path: Path) -> None:
    scene = scene_of(metric(), KNOWN, "a.jpg", RGB)
    assert (len(scene), scene.unit, scene.names) == (1, "m", ("a.jpg",))
    export_scene(scene, tmp_path, [name for name in FORMATS if name not in OF_SEVERAL])
    first = ply_points(tmp_path / "points.ply")[0]
    np.testing.assert_allclose(first, [-6 / 10 * 2, -4 / 10 * 2, 2], rtol=1e-6)


def test_a_map_of_the_network_s_size_has_cameras_for_both_sizes() -> None:
    small = replace(metric(), provenance=replace(MADE_BY, output_size=MODEL))
    view = view_of(small, FocalAsked(focal_px=100), None, (90, 130))
    scene = scene_of(small, view, "a.jpg", np.zeros((90, 130, 3), np.uint8))
    assert scene.images is not None
    assert scene.images.shape == (1, HEIGHT, WIDTH, 3)
    expected = [[100, 0, 65], [0, 100, 45], [0, 0, 1]]
    np.testing.assert_allclose(frame_of(scene, 0, SOURCE).intrinsics, expected)
    np.testing.assert_allclose(frame_of(scene, 0, OWN).intrinsics[0], [10, 0, 6.5])


def test_only_a_known_focal_length_makes_metres() -> None:
    depth = Map(ramp(HEIGHT, WIDTH, 2.0, 2.5), FOCAL_NORMALISED, focal_divisor=300.0)
    found = Result({DEPTH: depth}, MADE_BY)
    assumed = view_of(found, NOTHING_ASKED, None, (HEIGHT, WIDTH))
    assert scene_of(found, assumed, "a").unit is None
    scene = scene_of(found, KNOWN, "a")
    across, down = 686 / WIDTH, 518 / HEIGHT
    assert scene.unit == "m"
    np.testing.assert_allclose(scene.depth[0], depth.values * 10 * (across + down) / 600, rtol=1e-6)


def test_sky_and_confidence_come_along() -> None:
    sky, sure = np.zeros((HEIGHT, WIDTH), np.float32), ramp(HEIGHT, WIDTH, 1, 9)
    sky[0] = 0.3
    maps = {DEPTH: metric().depth, SKY: Map(sky, SKY), CONFIDENCE: Map(sure, CONFIDENCE)}
    scene = scene_of(Result(maps, MADE_BY), KNOWN, "a")
    assert scene.sky is not None
    assert scene.confidence is not None
    np.testing.assert_array_equal(scene.sky[0], sky > 0)
    np.testing.assert_array_equal(scene.confidence[0], sure)
    maps[CONFIDENCE] = Map(sure[1:], CONFIDENCE)
    with pytest.raises(InputError, match="the map 'confidence' is"):
        scene_of(Result(maps, MADE_BY), KNOWN, "a")


def test_inverse_depth_and_other_images_are_refused() -> None:
    with pytest.raises(InputError, match="inverse depth without scale and shift"):
        scene_of(result(ramp(HEIGHT, WIDTH)), KNOWN, "a")
    assert scene_of(result(ramp(HEIGHT, WIDTH), RELATIVE_DEPTH), KNOWN, "a").unit is None
    with pytest.raises(InputError, match="expected uint8"):
        scene_of(metric(), KNOWN, "a", RGB[1:])
    assert metric().depth.kind == METRES
