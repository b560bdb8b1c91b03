"""Presets of a job: refused before work starts where the model cannot meet it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from depth.family import METRES, SCENE_UNITS
from depth.presets.table import check_kind, preset_named
from serve.library import Library
from serve.recipe import depth_kind

if TYPE_CHECKING:
    from depth.fitting.fitter import Fitter


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
