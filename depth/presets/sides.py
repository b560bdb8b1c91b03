"""The further files of presets, and what the .json says for the files of a whole job."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any, Optional

from depth.maps.result import Result
from depth.presets.shot import Pinhole
from depth.presets.values import Numbers

_OPEN3D_SCALE = 1000.0
_CODES_3DGS = 65536.0  # graphdeco's train.py divides codes by this, not by 65535

_IW3_CONFIG = """type: {kind}
fps: {rate}
rgb_dir: rgb
depth_dir: depth
mapper: none
skip_mapper: false
skip_edge_dilation: false
user_data: {{}}
"""


def iw3_config(rate: Optional[Fraction]) -> bytes:
    """As iw3's export writes it, less the date and the options of its own models.

    rate  frames/s of the video whose frames the images are; None: they are no frames

    The depth is normalised nearness already, so no mapper.
    """
    kind, text = ("images", "1") if rate is None else ("video", str(rate))
    return _IW3_CONFIG.format(kind=kind, rate=text).encode()


def facts_of(name: str, result: Result, scale: float, offset: float) -> dict[str, float]:
    """What the .json says for `depth_params.json` of 3dgs: inverse depth in the model's unit.

    Its reader divides codes by 2^16, and `scale` and `offset` are of the codes. Empty unless depth
    was fitted to the COLMAP model.
    """
    if name != "3dgs" or not of_colmap(result):
        return {}
    return {"scale": scale * _CODES_3DGS, "offset": offset}


def of_colmap(result: Result) -> bool:
    """Whether depth was fitted to a COLMAP model, so that it has the unit of the model."""
    fit = getattr(result, "fit", None)
    return fit is not None and fit.source == "colmap"


def open3d(numbers: Numbers, camera: Optional[Pinhole]) -> bytes:
    """Arguments of Open3D's readers: scale, truncation in metres and, where known, the camera.

    The camera is in the form of PinholeCameraIntrinsic: its matrix column by column.
    """
    farthest = float(numbers.values.max())
    facts: dict[str, Any] = {
        "depth_scale": _OPEN3D_SCALE,
        "depth_trunc": math.ceil(min(farthest, 65.535) * 1000 + 1) / 1000,
    }
    if camera is not None:
        facts["width"], facts["height"] = camera.width, camera.height
        matrix = [camera.fx, 0.0, 0.0, 0.0, camera.fy, 0.0, camera.cx, camera.cy, 1.0]
        facts["intrinsic_matrix"] = matrix
    return (json.dumps(facts, indent=2) + "\n").encode()


def camera_info(camera: Pinhole) -> bytes:
    """YAML of camera_calibration_parsers, for the depth map's own size and no distortion."""
    k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    p = [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]
    parts = [
        f"image_width: {camera.width}",
        f"image_height: {camera.height}",
        "camera_name: depth",
        *_matrix("camera_matrix", 3, 3, k),
        "distortion_model: plumb_bob",
        *_matrix("distortion_coefficients", 1, 5, [0.0] * 5),
        *_matrix("rectification_matrix", 3, 3, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
        *_matrix("projection_matrix", 3, 4, p),
    ]
    return ("\n".join(parts) + "\n").encode()


def _matrix(name: str, rows: int, columns: int, values: list[float]) -> list[str]:
    numbers = ", ".join(repr(float(value)) for value in values)
    return [f"{name}:", f"  rows: {rows}", f"  cols: {columns}", f"  data: [{numbers}]"]
