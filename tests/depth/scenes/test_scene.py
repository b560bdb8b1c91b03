"""What a scene refuses, each inconsistency with a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from depth.errors import InputError
from depth.scenes.scene import Source
from tests.support.scene_samples import H, S, W, small, source


def with_value(name: str, at: tuple[int, ...], value: float) -> dict[str, Any]:
    values = getattr(small(), name).copy()
    values[at] = value
    return {name: values}


def test_a_scene_is_accepted() -> None:
    scene = small(
        unit="m",
        confidence=np.ones((S, H, W), np.float32),
        sky=np.zeros((S, H, W), bool),
        images=np.zeros((S, H, W, 3), np.uint8),
        sources=(source(), source((9, 9), window=(0, 1, 9, 8))),
    )
    assert (len(scene), scene.size) == (S, (H, W))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"depth": np.ones((S, H, W))},
            r"depth of a scene: float64 \(2, 4, 6\), expected",
        ),
        ({"depth": np.ones((H, W), np.float32)}, r"expected float32 \[S,H,W\]"),
        ({"depth": np.ones((0, H, W), np.float32)}, r"expected float32 \[S,H,W\]"),
        ({"depth": np.ones((3, H, W), np.float32)}, r"extrinsics .* expected float64 \(3, 3, 4\)"),
        (with_value("depth", (0, 0, 0), np.nan), "depth of a scene: expected finite"),
        (with_value("depth", (0, 0, 0), -1), "0 or larger"),
        ({"confidence": np.ones((S, W, H), np.float32)}, "confidence of a scene: float32"),
        ({"confidence": np.full((S, H, W), np.inf, np.float32)}, "confidence .* finite"),
        ({"sky": np.zeros((S, H, W), np.uint8)}, "sky of a scene: uint8"),
        ({"images": np.zeros((S, 3, H, W), np.uint8)}, "images of a scene: uint8"),
        ({"unit": "mm"}, "unit 'mm' of a scene: expected 'm' or None"),
        ({"extrinsics": np.tile(np.eye(4), (S, 1, 1))}, r"extrinsics .* \(2, 4, 4\)"),
        (
            with_value("extrinsics", (1, 0, 0), -1),
            "view 1: .* columns are no rotation",
        ),
        (with_value("extrinsics", (1, 0, 0), 1.01), "view 1: .* no rotation"),
        (with_value("extrinsics", (0, 2, 3), np.inf), "extrinsics of view 0: expected finite"),
        (with_value("intrinsics", (1, 0, 0), 0), "intrinsics of view 1: expected"),
        (with_value("intrinsics", (0, 1, 1), -5), "intrinsics of view 0: expected"),
        (with_value("intrinsics", (0, 0, 1), 0.1), "intrinsics of view 0: expected"),
        (with_value("intrinsics", (0, 2, 2), 2), "intrinsics of view 0: expected"),
        (with_value("intrinsics", (0, 0, 2), np.nan), "intrinsics of view 0: expected"),
        ({"names": ("a.jpg",)}, "1 names of 2 views"),
        ({"names": ("a.jpg", "A.jpg")}, "two views have it"),
        ({"names": ("a.jpg", "../b.jpg")}, "without a folder"),
        ({"names": ("a.jpg", "..")}, "without a folder"),
        ({"names": ("a.jpg", "b\n.jpg")}, "without a folder"),
        ({"names": ("a.jpg", "b\0.jpg")}, "without a folder"),
        ({"names": ("a.jpg", "")}, "expected 1 to 200 bytes"),
        ({"names": ("a.jpg", "é" * 101)}, "expected 1 to 200 bytes"),
        ({"sources": (source(),)}, "1 sources of 2 views"),
    ],
)
def test_what_does_not_belong_together_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        small(**changes)


@pytest.mark.parametrize(
    "window", [(-1, 0, 5, 5), (0, 0, 13, 8), (8, 0, 5, 8), (0, 0, 0, 8), (0, 3, 12, 6)]
)
def test_a_window_outside_its_image_is_refused(window: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \(left, top, width, height\) inside"):
        source(window=window)


def test_a_source_of_no_size_or_other_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="expected sides over 0"):
        source((0, 12))
    assert source().pixels().shape == (8, 12, 3)
    with pytest.raises(InputError, match=r"source's pixels are uint8 \(12, 8, 3\)"):
        Source((8, 12), lambda: np.zeros((12, 8, 3), np.uint8)).pixels()
