"""A preset in a job over stores, where the results of an image know nothing of other images."""

from __future__ import annotations

from typing import Optional

from depth.errors import InputError
from depth.fitting.fitter import Fitter
from depth.maps.consumer import PresetFiles
from depth.presets.encode import preset_files
from depth.presets.shot import Shot
from depth.presets.table import Preset, preset_named
from depth.steps.focal import FocalAsked
from serve.jobs.preset import check_preset
from serve.jobs.stage import ImageResult, Pixels
from serve.library import Library


def check_store_preset(preset: str, library: Library, fit: Optional[Fitter] = None) -> None:
    """As `check_preset`.

    Raises InputError also for a preset that has a file for all images, or files in folders.
    """
    check_preset(preset, library, fit)
    if not preset:
        return
    row = preset_named(preset)
    shared = _shared(row)
    if shared:
        raise InputError(
            f"preset {preset}: {shared} is for all images, and no worker of this job sees them "
            "all: copy the images into a folder, and take `serve folder --preset`"
        )
    if row.folder:
        raise InputError(
            f"preset {preset}: its tool looks for names in {row.folder}, and keys of a store have "
            "others: copy the images into a folder, and take `serve folder --preset`"
        )


def preset_of(
    preset: str, result: ImageResult, base: str, pixels: Pixels, asked: FocalAsked
) -> Optional[PresetFiles]:
    """The files of a preset for a result, and None for the preset "".

    base    the last part of the result's key, without suffix
    pixels  of the image, uint8 [H,W,3] BGR
    asked   what the user says of the camera

    Raises InputError for a result that cannot meet the preset.
    """
    if not preset:
        return None
    known = {"asked": asked, "exif_focal": result.exif_focal_px}
    return preset_files(preset, result, base, Shot.of(result.source, pixels=pixels, **known))


def _shared(preset: Preset) -> str:
    """A file for all images, or the folder of such files; "" if every file is of one image."""
    names = [preset.summary, *(extra.name for extra in preset.extras)]
    return next(filter(None, names), "")
