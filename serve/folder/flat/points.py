"""Upstream's point clouds: what its metric_depth/depth_to_pointcloud.py writes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.exports.ply import encode_ply
from depth.family import METRES
from depth.images.read import SourceImage
from depth.maps.result import FloatArray, Result
from serve.folder.flat.job import FlatJob


@dataclass(frozen=True)
class PointJob(FlatJob):
    """The options of upstream's script: a PLY for every image.

    fx, fy   focal lengths in px of the image
    factor   of the network's metres
    """

    suffix: ClassVar[str] = ".ply"
    files: ClassVar[int] = 18
    fx: float
    fy: float
    factor: float = 1.0

    def __post_init__(self) -> None:
        for name, px in (("x", self.fx), ("y", self.fy)):
            if not 0 < px < float("inf"):
                raise InputError(f"--focal-length-{name} {px:g} px: expected a number over 0")

    def encoded(self, source: SourceImage, result: Result) -> bytes:
        """The PLY file. Raises InputError for depth that is not metres."""
        if result.depth.kind != METRES:
            raise InputError(f"points need metres, and this depth is {result.depth.kind}")
        points = points_of(result.depth.values * np.float32(self.factor), self.fx, self.fy)
        colours: npt.NDArray[np.uint8] = source.pixels[:, :, ::-1].reshape(-1, 3)
        about = {
            "unit": "m",
            "axes": "x right, y down, z along the optical axis",
            "focal_px": [self.fx, self.fy],
            "factor": self.factor,
            "provenance": asdict(result.provenance),
        }
        return encode_ply(points, colours, about)


def points_of(depth: FloatArray, fx: float, fy: float) -> FloatArray:
    """[N,3] float32 (x, y, z) in metres of depth [H,W], row by row.

    The optical axis goes through the place (W / 2, H / 2), counted from the first pixel's centre,
    as in upstream's script.
    """
    height, width = depth.shape
    points = np.empty((height, width, 3), np.float32)
    points[..., 0] = (np.arange(width) - width / 2) / fx * depth
    points[..., 1] = ((np.arange(height) - height / 2) / fy)[:, None] * depth
    points[..., 2] = depth
    return points.reshape(-1, 3)
