"""A preset in a job over stores: the files of one image. `serve fetch` adds those of many."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from depth.maps.consumer import PresetFiles
from depth.presets.encode import preset_files, shared_files
from depth.presets.shot import Shot
from depth.presets.table import preset_named
from depth.steps.focal import FocalAsked
from serve.jobs.stage import ImageResult, Pixels


def preset_of(
    preset: str, result: ImageResult, base: str, pixels: Pixels, asked: FocalAsked
) -> Optional[PresetFiles]:
    """The files of a preset for a result, less those that images share; None for the preset "".

    base    the last part of the result's key, without suffix
    pixels  of the image, uint8 [H,W,3] BGR
    asked   what the user says of the camera

    Raises InputError for a result that cannot meet the preset.
    """
    if not preset:
        return None
    known = {"asked": asked, "exif_focal": result.exif_focal_px}
    found = preset_files(preset, result, base, Shot.of(result.source, pixels=pixels, **known))
    shared = shared_files(preset_named(preset))
    own = {role: file for role, file in found.files.items() if role not in shared}
    return replace(found, files=own)
