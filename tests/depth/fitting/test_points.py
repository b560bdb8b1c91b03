"""CSV files of points, read as hostile input."""

from __future__ import annotations

import numpy as np
import pytest

from depth.errors import FitError, InputError
from depth.fitting import points
from depth.fitting.fitter import fitter_of
from depth.fitting.points import points_of, read_points
from depth.images.header import ImageHeader

HEADER = ImageHeader(20, 10, "PNG", "RGB", 1)


def of(path, text: str | bytes):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_points(path)


def test_columns_come_in_any_order_and_others_are_let_pass(tmp_path):
    text = '\ufeff"depth_m",note,image,y_px, x_px\r\n2.5,"a, b",c/d.jpg,4,3\r\n\r\n1,,e.jpg,0,0\r\n'
    found = of(tmp_path / "a.csv", text)
    assert found.rows["c/d.jpg"].tolist() == [[3, 4, 2.5]]
    samples = found.samples("c/d.jpg", HEADER)
    assert (samples.x.tolist(), samples.y.tolist(), samples.depth.tolist()) == ([3], [4], [2.5])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected the header x_px,y_px,depth_m"),
        ("1,2,3\n", "its first line is '1,2,3': expected the header"),
        ("x_px;y_px;depth_m\n1;2;3\n", "expected the header x_px,y_px,depth_m, with commas"),
        ("x_px,x_px,y_px,depth_m\n", "expected the header"),
        ("x_px,y_px,depth_m\n", "no points below its header"),
        ("x_px,y_px,depth_m\n1,2\n", "line 2: '1,2': expected finite px"),
        ("x_px,y_px,depth_m\n1,2,3\n1,a,3\n", "line 3: '1,a,3': expected finite px"),
        ("x_px,y_px,depth_m\n1,2,nan\n", "line 2"),
        ("x_px,y_px,depth_m\n1,inf,3\n", "line 2"),
        ("x_px,y_px,depth_m\n1,1e300,3\n", "line 2"),
        ("x_px,y_px,depth_m\n1,2,0\n", "a depth over 0 m"),
        ("x_px,y_px,depth_m\n1,2,-3\n", "a depth over 0 m"),
        ("x_px,y_px,depth_m,image\n1,2,3,\n", "expected the name of an image"),
        ("x_px,y_px,depth_m,image\n1,2,3,.\n", "expected the name of an image"),
        ("x_px,y_px,depth_m,image\n1,2,3,/\n", "expected the name of an image"),
        ('x_px,y_px,depth_m\n1,2,"3\n', "unexpected end of data"),
        (b"x_px,y_px,depth_m\n1,2,\xff\n", "not UTF-8"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value)[:20],
)
def test_what_is_no_list_of_points_is_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=r"a\.csv: ") as raised:
        of(tmp_path / "a.csv", text)
    assert said in str(raised.value)


def test_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(points, "MAX_ROWS", 2)
    with pytest.raises(InputError, match="line 4: over 2 points"):
        of(tmp_path / "a.csv", "x_px,y_px,depth_m\n" + "1,2,3\n" * 3)
    monkeypatch.setattr(points, "MAX_BYTES", 20)
    with pytest.raises(InputError, match=r"a\.csv: cannot be read"):
        of(tmp_path / "a.csv", "x_px,y_px,depth_m\n1,2,3\n")


def test_a_point_outside_of_its_image_is_refused(tmp_path):
    found = of(tmp_path / "a.csv", "x_px,y_px,depth_m\n19.4,9,1\n30,4,2\n")
    with pytest.raises(FitError, match=r"point 30, 4 is outside of b\.jpg, which has 20x10 px"):
        found.samples("b.jpg", HEADER)


def test_points_without_names_are_of_one_image_only(tmp_path):
    found = of(tmp_path / "a.csv", "x_px,y_px,depth_m\n1,2,3\n")
    found.check(["b.jpg"])
    with pytest.raises(InputError, match="no column 'image', and there are 2 images"):
        found.check(["b.jpg", "c.jpg"])


def test_a_folder_has_a_file_for_each_image(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b.csv").write_text("x_px,y_px,depth_m\n1,2,3\n")
    (tmp_path / "c.csv").write_text("x_px,y_px,depth_m\n1,2,4\n")
    found = fitter_of(tmp_path).reference
    assert found.samples("d/b.jpg", HEADER).depth.tolist() == [3]
    assert found.samples("c.jpg", HEADER).depth.tolist() == [4]
    (tmp_path / "c.csv").write_text("x_px,y_px,depth_m,image\n1,2,4,c.jpg\n")
    with pytest.raises(InputError, match="give this file alone"):
        fitter_of(tmp_path)


@pytest.mark.parametrize(
    "rows",
    [[1, 2, 3], [[1, 2]], [[1, 2, -1]], [[np.nan, 1, 1]], [["a", 1, 1]], [[1], [1, 2]]],
    ids=str,
)
def test_an_array_that_is_no_points_is_refused(rows):
    with pytest.raises(FitError, match="points?"):
        points_of(rows)
