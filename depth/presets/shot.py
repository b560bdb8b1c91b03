"""What is known of an image besides its depth: its camera, its pixels and its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from depth.exports.view import view_of
from depth.maps.result import Result
from depth.presets.table import CAMERA, PICTURE, Preset, preset_named
from depth.steps.focal import NOTHING_ASKED, FocalAsked


@dataclass(frozen=True)
class Pinhole:
    """A pinhole camera in px of the depth map, counted from the first pixel's centre."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True)
class Shot:
    """What is known of an image.

    asked       what the user says of the camera
    exif_focal  the focal length that the image file says, in px of the whole image
    image_size  (height, width) px of the whole image; None: of the depth map
    pixels      uint8 [H,W,3] BGR
    name        what people call the image: its path
    rate        frames/s of the video or sequence that the image is a frame of
    """

    asked: FocalAsked = NOTHING_ASKED
    exif_focal: Optional[float] = None
    image_size: Optional[tuple[int, int]] = None
    pixels: Optional[npt.NDArray[np.uint8]] = None
    name: str = ""
    rate: Optional[Fraction] = None

    @staticmethod
    def of(source: Mapping[str, Any], **known: Any) -> Shot:
        """By what a result's .json says of its image."""
        size = source.get("height_px"), source.get("width_px")
        whole = all(isinstance(side, int) and side > 0 for side in size)
        path = source.get("path")
        name = path if isinstance(path, str) else ""
        return Shot(image_size=size if whole else None, name=name, **known)  # type: ignore[arg-type]

    def camera(self, result: Result) -> Optional[Pinhole]:
        """The camera of the depth map; None where only an assumed field of view is there.

        Raises InputError as `view_of`.
        """
        height, width = result.depth.values.shape
        view = view_of(result, self.asked, self.exif_focal, self.image_size or (height, width))
        if view.assumed:
            return None
        fx, fy = view.on_grid((height, width))
        return Pinhole(width, height, fx, fy, (width - 1) / 2, (height - 1) / 2)

    def asked_of(self, preset: Preset) -> str:
        """What the files depend on beside the result, as a text that a rerun compares."""
        if self.rate is not None and PICTURE in preset.takes:
            return f"fps {self.rate}"
        return asked_of(preset, self.asked)


def says_camera(preset: Preset) -> bool:
    """Whether files of a preset say the camera, where it is known."""
    return preset.name == "open3d" or CAMERA in preset.takes


def asked_of(preset: Preset, asked: FocalAsked) -> str:
    """What a preset's files depend on beside the result: the camera, where they say it."""
    if not says_camera(preset):
        return ""
    matrix = (
        None if asked.intrinsics is None else [list(map(float, row)) for row in asked.intrinsics]
    )
    given = {"focal_px": asked.focal_px, "fov_deg": asked.fov_deg, "intrinsics": matrix}
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def preset_setting(preset: str, asked: FocalAsked) -> str:
    """What a rerun compares of a preset, as `PresetFacts.setting` has it; "" without a preset."""
    return f"{preset} {asked_of(preset_named(preset), asked)}".strip() if preset else ""


NOTHING_KNOWN = Shot()
