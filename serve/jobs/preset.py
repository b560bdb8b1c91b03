"""Presets of a job: refused before work where the model cannot meet it, and its file of all."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from depth.errors import DepthFileError
from depth.family import METRES, SCENE_UNITS
from depth.files import write_whole
from depth.presets.table import check_kind, preset_named
from serve.library import Library
from serve.recipe import depth_kind

if TYPE_CHECKING:
    from depth.fitting.fitter import Fitter
    from depth.presets.summary import Done

logger = logging.getLogger(__name__)


def check_preset(
    preset: str, library: Library, fit: Optional[Fitter] = None, kind: str = ""
) -> None:
    """Raises InputError for an unknown preset, or for a kind of depth that cannot meet it.

    preset  "" is none, which every job can meet
    kind    of depth that the model gives; by default what the programs of the library say

    Depth that becomes metres by a focal length is known image by image.
    """
    if not preset:
        return
    preset_named(preset)
    by = "the model"
    if fit is not None:
        kind, by = METRES if fit.reference.metric else SCENE_UNITS, "the fit"
    elif not kind and library.sizes:
        kind = depth_kind(library.any_artifact().manifest)
    if kind:
        check_kind(preset, kind, by)


def names_of_preset(preset: str) -> tuple[bool, list[str]]:
    """Whether images keep their whole names, and the names that no image may take.

    As `unique_stems` takes them; "" is no preset.
    """
    if not preset:
        return False, []
    row = preset_named(preset)
    return row.whole_name, [row.summary] if row.summary else []


def write_file_of_all(
    preset: str, done: Iterable[Done], folder: Path
) -> Optional[tuple[str, bytes]]:
    """Write the preset's file for all images into the folder, and return its name and bytes.

    preset  "" is none

    None where the preset has no such file, or the images give none, and the log says why. Raises
    DepthFileError if the disk refuses.
    """
    name = preset_named(preset).summary if preset else ""
    if not name:
        return None
    from depth.presets.summary import WITHOUT, summary_of

    data = summary_of(preset, done)
    if data is None:
        logger.warning("%s", WITHOUT[preset])
        return None
    try:
        write_whole(folder / name, data)
    except OSError as error:
        raise DepthFileError(f"{folder / name}: cannot be written: {error.strerror}") from error
    return name, data
