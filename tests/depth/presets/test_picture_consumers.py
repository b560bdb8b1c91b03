"""comfyui, sp3d and blender, read by the code of ComfyUI, SimplePicture3D and Blender.

    CONSUMERS_UPSTREAM=FOLDER make test ARGS="-rP tests/depth/presets/test_picture_consumers.py"

FOLDER has checkouts by their names: ComfyUI, ComfyUI-DepthAnythingV2 and SimplePicture3D; and in
blender/ a virtual environment with the package `bpy`.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.family import METRES, RELATIVE_INVERSE
from tests.support.consumers import PIXELS, error_of, needs_checkout, read_by, written
from tests.support.depth_samples import ramp, result

EVEN = (30, 42)  # the node for Depth Anything gives even sides only


@needs_checkout("ComfyUI")
def test_save_image_stores_our_image(tmp_path: Path) -> None:
    file = written(tmp_path, "comfyui", result(ramp(*EVEN), METRES, None))[0]
    levels = read_by("pictures.comfyui", file)["saved"]
    assert levels.shape == (*EVEN, 3)
    assert levels.dtype == np.uint8
    assert error_of("comfyui", levels / 255, np.load(file)[0]) < 1.001 / 255, "it rounds down"


@needs_checkout("ComfyUI-DepthAnythingV2")
@pytest.mark.parametrize(("kind", "name"), [(RELATIVE_INVERSE, "relative"), (METRES, "metric")])
def test_the_node_for_depth_anything_gives_the_same_image(
    tmp_path: Path, kind: str, name: str
) -> None:
    depth = ramp(*EVEN)
    np.save(tmp_path / f"{name}.npy", depth[np.newaxis])
    read = read_by("pictures.comfyui_depth", tmp_path / f"{name}.npy")["image"]
    ours = np.load(written(tmp_path, "comfyui", result(depth, kind, None))[0])
    assert error_of(f"comfyui, {name}", read, ours) < 1e-6


@needs_checkout("SimplePicture3D")
def test_simplepicture3d_keeps_every_value(tmp_path: Path) -> None:
    found = result(ramp(*EVEN), METRES, None)
    file = written(tmp_path, "sp3d", found)[0]
    cv2.imwrite(str(file.with_suffix(".png")), PIXELS)
    read = read_by("pictures.sp3d", file)
    assert read["keys"].tolist() == ["depth", "height", "width"]
    assert read["size"].tolist() == list(PIXELS.shape[:2])
    assert read["count"] == PIXELS.shape[0] * PIXELS.shape[1]
    ours = np.load(written(tmp_path, "comfyui", found)[0])[0, :, :, 0]
    assert error_of("sp3d", read["depth"], ours) <= 5.01e-7, "half of the sixth decimal"


@needs_checkout("blender")
@pytest.mark.long
def test_blender_has_every_value(tmp_path: Path) -> None:
    found = result(ramp(*EVEN), METRES, None)
    read = read_by("pictures.blender", written(tmp_path, "blender", found)[0])
    assert read["float"]
    rows = read["pixels"][::-1, :, 0]  # Blender's first row is the lowest
    assert error_of("blender", rows, found.depth.values) == 0
