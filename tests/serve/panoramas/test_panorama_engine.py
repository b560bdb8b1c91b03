"""Panoramas through the programs of ordinary images: all views one size, one map out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depth.errors import InputError
from depth.family import CONFIDENCE, DEPTH, METRES, SKY
from depth.images.given import hold
from depth.images.read import SourceImage, read_image
from depth.panoramas.joining import joined
from depth.panoramas.layouts import layout_named
from depth.panoramas.sampling import seen_in, width_for
from serve.errors import ClosedError, ExpiredError, ProgramError
from serve.jobs.stage import Asked, Stage
from serve.panoramas.asked import PanoramaAsked, maps_of_panoramas
from tests.support.manifests import sky_manifest
from tests.support.panoramas import KEY, SIDE, engine_of, plain_engine, write_panorama


@pytest.fixture(name="source")
def source_fixture(tmp_path: Path) -> SourceImage:
    return read_image(write_panorama(tmp_path / "room.png"))


def test_a_panorama_is_what_an_ordinary_engine_makes_of_its_views(source: SourceImage) -> None:
    engine, program = engine_of()
    layout = layout_named("cube6")
    with engine, plain_engine() as plain:
        found = engine.result(source)
        header = replace(source.header, height_px=SIDE, width_px=SIDE)
        views = [
            plain.result(SourceImage(pixels, header, "", ())).maps
            for pixels in seen_in(source.pixels, layout.views, SIDE)
        ]
    wanted = joined(layout, views, (32, 64))
    assert np.array_equal(found.depth.values, wanted.maps[DEPTH].values)
    assert found.projection == wanted.projection
    assert program.shapes == [(1, 3, SIDE, SIDE)] * 6
    assert found.provenance.steps[-1] == "join_views(cube6, fov=110, side=28, align=by_kind)"
    assert (found.provenance.model_height_px, found.provenance.model_width_px) == (SIDE, SIDE)


def test_what_is_foreseen_comes_true_and_differs_by_what_is_asked(source: SourceImage) -> None:
    steps = set()
    for asked in (
        PanoramaAsked("cube6"),
        PanoramaAsked("tangent10"),
        PanoramaAsked("cube6", 115),
        PanoramaAsked("cube6", side_px=70),
        PanoramaAsked("cube6", align="none"),
    ):
        engine, _ = engine_of(asked=asked)
        with engine:
            engine.make_ready([engine.size_for(32, 64)])
            foreseen = engine.foreseen(source.header)
            assert engine.result(source).provenance == foreseen.provenance
            assert foreseen.provenance
            steps.add(foreseen.provenance.steps)
    assert len(steps) == 5


def test_the_camera_of_views_makes_metres(source: SourceImage) -> None:
    engine, _ = engine_of(sky_manifest([KEY]))
    with engine:
        found = engine.result(source)
    assert found.depth.kind == METRES
    assert found.focal
    assert found.focal.source == "fov_deg"
    assert found.focal.px == pytest.approx(SIDE / 2 / math.tan(math.radians(55)))
    assert engine.foreseen(source.header).focal == found.focal
    assert set(found.maps) == {DEPTH, SKY, CONFIDENCE} == set(maps_of_panoramas([DEPTH, SKY]))


def test_the_size_of_the_model_is_as_fine_as_its_views(tmp_path: Path) -> None:
    engine, _ = engine_of(asked=PanoramaAsked("cube6"))
    large = read_image(write_panorama(tmp_path / "large.png", 100))
    with engine:
        prepared = engine.prepare(large)
        found = engine.finish(engine.run(prepared), "model")
        assert found.depth.values.shape[1] == width_for(layout_named("cube6").views[0], SIDE) == 62
        small = engine.finish(engine.run(engine.prepare(large)), "full")
    assert found.provenance.output_size == "model"
    assert small.depth.values.shape == (100, 200)


def test_an_image_that_is_no_whole_sphere_is_refused(tmp_path: Path) -> None:
    engine, program = engine_of()
    square = read_image(write_panorama(tmp_path / "room.png"))
    with engine, pytest.raises(InputError, match="64x64 px: an equirectangular panorama is twice"):
        engine.size_for(64, 64)
    assert square.header.width_px == 64
    assert program.shapes == []


def test_a_view_that_fails_fails_the_panorama(source: SourceImage) -> None:
    engine, program = engine_of(fails_from=3)
    with engine, pytest.raises(ProgramError, match="the device is gone"):
        engine.result(source)
    assert len(program.shapes) < 3 + 6 * 3


def test_a_deadline_and_a_close_count_for_panoramas(source: SourceImage) -> None:
    engine, _ = engine_of()
    with engine:
        engine.result(source)
        with pytest.raises(ExpiredError):
            engine.run(engine.prepare(source), deadline_s=1e-9)
    with pytest.raises(ClosedError):
        engine.run(engine.prepare(source))


def test_a_stage_and_so_each_front_end_takes_panoramas(tmp_path: Path) -> None:
    path = write_panorama(tmp_path / "room.png")
    engine, _ = engine_of()
    stage = Stage(engine)
    found = stage.result(hold(path), Asked())
    assert found.projection
    assert found.source["width_px"] == 64
    with pytest.raises(InputError, match="twice as wide"):
        stage.result(hold(np.zeros((50, 60, 3), np.uint8)), Asked())
    stage.close()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"layout": "cube7"}, "choose from"),
        ({"fov_deg": 10}, "expected 40 to 140"),
        ({"side_px": 8}, "expected 56 to 2048"),
        ({"side_px": 5000}, "expected 56 to 2048"),
        ({"align": "both"}, "expected affine, scale, none"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        PanoramaAsked(**options)  # type: ignore[arg-type]
