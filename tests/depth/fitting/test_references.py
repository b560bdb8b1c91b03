"""Rendered scenes of known depth: every kind of reference brings scale and shift back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depth.errors import FitError, InputError
from depth.family import METRES, RELATIVE_DEPTH, RELATIVE_INVERSE, SCENE_UNITS
from depth.fitting.fitter import Fitter, fitter_of
from depth.maps.fit import AUTO, COLMAP, POINTS, SCALE, SCALE_SHIFT, SENSOR
from tests.support.measured import (
    COUNT,
    TRUTH,
    header,
    measured,
    relative,
    write_model,
    write_points,
    write_sensor,
)
from tests.support.rendered import Rendered, rendered

WITHIN = 0.005


@pytest.fixture(scope="module")
def room() -> Rendered:
    return rendered(size=(120, 160))


def points(folder: Path, room: Rendered) -> Fitter:
    rows = {name: measured(room, view) for view, name in enumerate(room.scene.names)}
    return fitter_of(write_points(folder / "points.csv", rows))


def points_folder(folder: Path, room: Rendered) -> Fitter:
    for view, name in enumerate(room.scene.names):
        path = write_points(folder / f"{Path(name).stem}.csv", {name: measured(room, view)})
        lines = path.read_text().splitlines()
        path.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    return fitter_of(folder)


def sensor(folder: Path, room: Rendered) -> Fitter:
    for view, name in enumerate(room.scene.names):
        write_sensor(folder / name, room, view)
    return fitter_of(folder)


def small_sensor(folder: Path, room: Rendered) -> Fitter:
    for view, name in enumerate(room.scene.names):
        write_sensor(folder / name, room, view, shrink=2)
    return fitter_of(folder)


def binary_model(folder: Path, room: Rendered) -> Fitter:
    write_model(folder / "sparse" / "0", room)
    return fitter_of(f"colmap:{folder}", unit="m")


def text_model(folder: Path, room: Rendered) -> Fitter:
    return fitter_of(write_model(folder, room, "txt"), unit="m")


@pytest.mark.parametrize("kind", [RELATIVE_INVERSE, RELATIVE_DEPTH])
@pytest.mark.parametrize(
    ("reference", "source"),
    [
        (points, POINTS),
        (points_folder, POINTS),
        (sensor, SENSOR),
        (binary_model, COLMAP),
        (text_model, COLMAP),
    ],
)
def test_scale_and_shift_are_found_within_half_a_percent(tmp_path, room, reference, source, kind):
    fitter = reference(tmp_path, room)
    for view, name in enumerate(room.scene.names):
        found = fitter.fitted(relative(room, view, kind), name, header(room))
        assert found.fit is not None
        assert found.fit.scale == pytest.approx(TRUTH.scale, rel=WITHIN)
        # The shift as a share of what it is added to: inverse depth, or depth.
        size = 1 / np.median(room.scene.depth[view]) if kind == RELATIVE_INVERSE else 1.0
        assert found.fit.shift == pytest.approx(TRUTH.shift, abs=WITHIN * size)
        assert (found.depth.kind, found.depth.unit, found.fit.source) == (METRES, "m", source)
        off = np.abs(found.depth.values / room.scene.depth[view] - 1)
        assert np.quantile(off, 0.99) < 2 * WITHIN
        assert 0.75 < found.fit.inliers / found.fit.points < 0.85
        assert found.fit.median_share < 0.012
        assert (found.fit.by, found.fit.method) == (AUTO, SCALE_SHIFT)
        assert (found.fit.cut_near_px, found.fit.cut_far_px) == (0, 0)


def test_a_sensor_of_another_size_takes_the_nearest_places(tmp_path, room):
    fitter = small_sensor(tmp_path, room)
    found = fitter.fitted(relative(room, 0), room.scene.names[0], header(room))
    assert found.fit is not None
    assert found.fit.scale == pytest.approx(TRUTH.scale, rel=0.02)
    assert np.median(np.abs(found.depth.values / room.scene.depth[0] - 1)) < 0.02


def test_a_model_without_unit_gives_units_of_the_scene(tmp_path, room):
    model = write_model(tmp_path, room, unit=7.0)
    found = fitter_of(model).fitted(relative(room, 1), room.scene.names[1], header(room))
    assert found.fit is not None
    assert (found.depth.kind, found.depth.unit) == (SCENE_UNITS, None)
    assert found.fit.scale == pytest.approx(TRUTH.scale / 7, rel=WITHIN)
    assert np.median(found.depth.values / room.scene.depth[1]) == pytest.approx(7, rel=WITHIN)


def test_a_model_has_its_places_in_the_image_as_it_is_stored(tmp_path, room):
    """COLMAP does not turn an image by its EXIF orientation."""
    name = room.scene.names[0]
    fitter = fitter_of(write_model(tmp_path, room), unit="m")
    whole = relative(room, 0)
    upside_down = whole.depth.values[::-1, ::-1]
    turned = relative(room, 0)
    turned.maps["depth"].values[:] = upside_down
    found = fitter.fitted(turned, name, header(room, orientation=3))
    assert found.fit is not None
    assert found.fit.scale == pytest.approx(TRUTH.scale, rel=WITHIN)
    with pytest.raises(FitError, match="Check that"):
        fitter.fitted(turned, name, header(room))


def test_all_outliers_are_refused(tmp_path, room):
    name = room.scene.names[0]
    rows = measured(room, 0, wrong=1.0)
    for fitter in (
        fitter_of(rows),
        fitter_of(write_points(tmp_path / "points.csv", {name: rows})),
        fitter_of(write_model(tmp_path / "model", room, wrong=1.0)),
    ):
        with pytest.raises(FitError, match="does not agree with what the network sees"):
            fitter.fitted(relative(room, 0), name, header(room))


def test_too_few_points_and_points_of_one_depth_are_refused(room):
    rows = measured(room, 0, wrong=0)
    with pytest.raises(FitError, match="7 points: a fit by scale_shift needs at least 8"):
        fitter_of(rows[:7]).fitted(relative(room, 0), "", header(room))
    depth = room.scene.depth[0][rows[:, 1].astype(int), rows[:, 0].astype(int)]
    flat = rows[np.abs(depth - np.median(depth)) < 0.01 * np.median(depth)]
    assert len(flat) > 8
    with pytest.raises(FitError, match="known only to|half of the points are off"):
        fitter_of(flat).fitted(relative(room, 0), "", header(room))
    found = fitter_of(flat, SCALE).fitted(relative(room, 0, RELATIVE_DEPTH), "", header(room))
    assert found.fit is not None
    assert (found.fit.by, found.fit.method, found.fit.shift) == (SCALE, SCALE, 0)


def test_points_behind_the_camera_are_refused(tmp_path, room):
    model = write_model(tmp_path, room, "txt", wrong=0)
    path = model / "images.txt"
    lines = path.read_text().splitlines()
    words = lines[1].split()
    words[7] = str(float(words[7]) - 100)  # the third of the translation
    path.write_text("\n".join([lines[0], " ".join(words), *lines[2:]]) + "\n")
    with pytest.raises(FitError, match=rf"of {COUNT} that it sees, {COUNT} are behind its camera"):
        fitter_of(model).fitted(relative(room, 0), room.scene.names[0], header(room))


def test_wrong_names_are_refused_before_the_work(tmp_path, room):
    for fitter in (points(tmp_path, room), text_model(tmp_path / "model", room)):
        with pytest.raises(FitError, match=r"no entry for b\.png: it names 00\.png, 01\.png, 02"):
            fitter.reference.samples("b.png", header(room))
        with pytest.raises(InputError, match=r"no entry for b\.png"):
            fitter.reference.check(["b.png", "c.png"])
        fitter.reference.check(["b.png", "x/00.png"])


def test_a_view_of_another_shape_is_refused(tmp_path, room):
    fitter = text_model(tmp_path, room)
    other = header(room)
    wide = type(other)(400, 120, "PNG", "RGB", 1)
    with pytest.raises(FitError, match="of 160x120 px, the image has 400x120 px"):
        fitter.reference.samples("00.png", wide)


def test_a_basis_changes_with_the_points_of_its_image_only(tmp_path, room):
    first = points(tmp_path, room)
    path = tmp_path / "points.csv"
    path.write_text(path.read_text() + "1,2,3,01.png\n")
    second = fitter_of(path)
    assert first.basis("00.png") == second.basis("00.png")
    assert first.basis("01.png") != second.basis("01.png")
    assert first.basis("00.png") != fitter_of(path, SCALE).basis("00.png")
    assert first.basis("00.png").by == AUTO
    write_sensor(tmp_path / "s" / "00.png", room, 0)
    in_mm, in_cm = fitter_of(tmp_path / "s"), fitter_of(tmp_path / "s", step=0.01)
    assert in_mm.basis("00.png") != in_cm.basis("00.png")


def test_a_fitted_result_is_not_fitted_again(room):
    rows = measured(room, 0)
    found = fitter_of(rows).fitted(relative(room, 0), "", header(room))
    with pytest.raises(FitError, match="fitted before"):
        fitter_of(rows).fitted(found, "", header(room))


def test_depth_beyond_the_measured_range_is_cut_and_counted(room):
    rows = measured(room, 0, wrong=0)
    near, far = rows[:, 2].min() / 10, rows[:, 2].max() * 10
    result = relative(room, 0)
    values = result.depth.values
    values[:2] = (-1 - TRUTH.shift) / TRUTH.scale  # inverse depth below 0
    values[-1] = (1e4 - TRUTH.shift) / TRUTH.scale
    inside = rows[(rows[:, 1] > 1) & (rows[:, 1] < len(values) - 1)]
    found = fitter_of(inside).fitted(result, "", header(room))
    assert found.fit is not None
    width = values.shape[1]
    assert (found.fit.cut_far_px, found.fit.cut_near_px) == (2 * width, width)
    assert found.depth.values[0, 0] == pytest.approx(found.fit.far)
    assert found.depth.values[-1, 0] == pytest.approx(found.fit.near)
    assert (found.fit.near, found.fit.far) == pytest.approx((near, far), rel=0.1)


@pytest.mark.parametrize("form", ["bin", "txt"])
def test_places_and_depths_of_a_model_are_those_of_pycolmap(tmp_path, room, form):
    pycolmap = pytest.importorskip("pycolmap", minversion="3.13")
    model = write_model(tmp_path, room, form)
    theirs = pycolmap.Reconstruction(str(model))
    samples = fitter_of(model).reference.samples("01.png", header(room))
    image = theirs.find_image_with_name("01.png")
    expected = []
    for point in theirs.points3D.values():
        if all(element.image_id != image.image_id for element in point.track.elements):
            continue
        place = image.project_point(point.xyz)
        depth = (image.cam_from_world() * point.xyz)[2]
        if place is not None and (place > 0).all() and (place < room.scene.size[::-1]).all():
            expected.append([*(place - 0.5), depth])
    ours = np.stack([samples.x, samples.y, samples.depth], 1)
    assert len(ours) == len(expected) > 1000
    order = np.lexsort(np.round(ours, 6).T), np.lexsort(np.round(expected, 6).T)
    assert ours[order[0]] == pytest.approx(np.array(expected)[order[1]], abs=1e-6)
