"""The names of the presets, for command lines; loads nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

PRESET_NAMES = (
    "3dgs",
    "nerfstudio",
    "open3d",
    "ros",
    "kitti",
    "nyu",
    "tum",
    "colmap",
    "midas",
    "blender",
    "iw3",
    "comfyui",
    "sp3d",
)
DEFAULT_FORMATS = ("png",)


def formats_of(formats: Optional[Sequence[str]], preset: str) -> tuple[str, ...]:
    """The formats that are asked for: without any, PNG, or none beside a preset.

    An empty sequence stays empty, which is refused where files are written without a preset.
    """
    if formats is not None:
        return tuple(formats)
    return () if preset else DEFAULT_FORMATS
