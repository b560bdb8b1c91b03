"""What `--fit` takes is found by what it is; what is refused says what is taken."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.errors import FitError, InputError
from depth.fitting.fitter import fitter_of
from depth.fitting.names import Names
from depth.images.header import ImageHeader
from depth.maps.fit import COLMAP, POINTS, SENSOR
from depth.maps.png import encode
from tests.support.measured import header, write_model, write_sensor
from tests.support.rendered import Rendered, rendered

HEADER = ImageHeader(20, 10, "PNG", "RGB", 1)
CSV = "x_px,y_px,depth_m\n1,2,3\n"


@pytest.fixture(scope="module")
def room() -> Rendered:
    return rendered(size=(24, 32))


def test_kinds_are_found(tmp_path, room):
    (tmp_path / "a.csv").write_text(CSV)
    write_sensor(tmp_path / "s" / "a.PNG", room, 0)
    write_model(tmp_path / "m" / "sparse" / "0", room)
    for given, source in (
        ("a.csv", POINTS),
        ("s/a.PNG", SENSOR),
        ("s", SENSOR),
        ("m", COLMAP),
        ("m/sparse", COLMAP),
        ("m/sparse/0", COLMAP),
    ):
        assert fitter_of(tmp_path / given).reference.source == source
    assert fitter_of(f"colmap:{tmp_path / 'm'}").reference.source == COLMAP
    assert not fitter_of(tmp_path / "m").reference.metric
    fitter = fitter_of(tmp_path / "a.csv")
    assert fitter_of(fitter) is fitter


def test_what_is_of_no_kind_is_refused(tmp_path):
    def refused(given: Path | str, said: str) -> None:
        with pytest.raises(InputError, match=said):
            fitter_of(given)

    (tmp_path / "a.txt").write_text(CSV)
    refused(tmp_path / "a.txt", r"a\.txt: of no kind that is known; expected a CSV file of points")
    refused(tmp_path / "none.png", r"none\.png: no such file or folder")
    refused(tmp_path, "neither CSV files nor PNG files")
    refused("", "an empty path; expected a CSV file of points")
    refused("~nobody-of-this-name/a.csv", "No such file or directory")
    refused(f"colmap:{tmp_path}", "no COLMAP model: expected cameras, images and points3D")
    (tmp_path / "b.csv").write_text(CSV)
    (tmp_path / "b.png").touch()
    refused(tmp_path, "CSV files and PNG files")


def test_options_that_do_not_belong_together_are_refused(tmp_path, room):
    (tmp_path / "a.csv").write_text(CSV)
    model = write_model(tmp_path / "m", room)
    for given, options, said in (
        (tmp_path / "a.csv", {"by": "shift"}, "expected one of auto, scale, scale_shift"),
        (tmp_path / "a.csv", {"unit": "m"}, "unit of a COLMAP model"),
        (tmp_path / "a.csv", {"step": 0.1}, "here are none"),
        (model, {"unit": "ft"}, "expected 'm'"),
        (model, {"step": 0.0}, "over 0"),
        (model, {"step": float("nan")}, "over 0"),
    ):
        with pytest.raises(InputError, match=said):
            fitter_of(given, **options)
    with pytest.raises(InputError, match="a fitter says itself how to fit"):
        fitter_of(fitter_of(model), "scale")


def test_a_file_whose_name_begins_with_a_tilde_is_no_users_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("~points.csv").write_text(CSV)
    assert fitter_of("~points.csv").reference.source == POINTS


def test_a_model_without_points_is_refused(tmp_path, room):
    model = write_model(tmp_path, room, "txt")
    (model / "points3D.txt").unlink()
    with pytest.raises(InputError, match=r"points3D\.txt: cannot be read"):
        fitter_of(model)
    (model / "points3D.txt").write_text("# nothing\n")
    with pytest.raises(FitError, match=r"00\.png: the model has no point that it sees"):
        fitter_of(model).reference.samples("00.png", header(room))


def test_files_of_a_sensor_have_codes_of_one_length(tmp_path):
    def samples(pixels: np.ndarray):
        cv2.imwrite(str(tmp_path / "a.png"), pixels)
        return fitter_of(tmp_path / "a.png", step=0.5).reference.samples("x.jpg", HEADER)

    codes = np.zeros((5, 10), np.uint16)
    with pytest.raises(FitError, match="every code is 0"):
        samples(codes)
    codes[1, 3] = 8
    found = samples(codes)  # half the size of the image
    assert (found.x.tolist(), found.y.tolist(), found.depth.tolist()) == ([6.5], [2.5], [4.0])
    with pytest.raises(FitError, match="not 16-bit gray"):
        samples(codes.astype(np.uint8))
    with pytest.raises(FitError, match="of 9x9 px, the image has 20x10 px"):
        samples(np.ones((9, 9), np.uint16))
    (tmp_path / "a.png").write_bytes(encode(codes, "a text"))
    with pytest.raises(FitError, match="a depth file of a network"):
        fitter_of(tmp_path / "a.png").reference.samples("x.jpg", HEADER)
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(FitError, match="not a PNG file"):
        fitter_of(tmp_path / "a.png").reference.samples("x.jpg", HEADER)
    with pytest.raises(InputError, match="one file, and there are 2 images"):
        fitter_of(tmp_path / "a.png").reference.check(["x.jpg", "y.jpg"])


def test_a_large_sensor_is_thinned_out(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((1000, 2000), 7, np.uint16))
    found = fitter_of(tmp_path / "a.png").reference.samples("x.jpg", HEADER)
    assert 50_000 < len(found.depth) <= 100_000
    assert (found.x.min(), found.y.min()) == pytest.approx((-0.495, -0.495))
    assert found.x.max() == pytest.approx(19.5, abs=0.06)


def test_images_find_their_entries():
    names = Names(["a/b.png", "c.jpg", "d/e.png", "f/e.png"])
    assert names.of("a/b.png") == names.of("a/b.jpg") == names.of("/home/x/a/b.jpg") == "a/b.png"
    assert names.of("b.jpg") == "a/b.png"
    assert names.of("x/c.tiff") == "c.jpg"
    with pytest.raises(FitError, match=r"several entries for e\.jpg: it names d/e\.png, f/e\.png"):
        names.of("e.jpg")
    with pytest.raises(FitError, match=r"no entry for g\.jpg: it names .* and 1 more"):
        names.of("g.jpg")
    with pytest.raises(FitError, match=r"no entry for xb\.jpg"):
        names.of("xb.jpg")
    with pytest.raises(FitError, match="no entry for an image without a name"):
        names.of("")
    names.check(["a/b.jpg", "unknown.jpg"])
    with pytest.raises(InputError, match=r"one entry, c\.jpg, for c\.jpg and x/c\.jpg"):
        names.check(["c.jpg", "x/c.jpg"])
    with pytest.raises(InputError, match="no entry"):
        names.check(["g.jpg"])
