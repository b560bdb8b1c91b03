"""Results on disk with the files of a preset: as depth/maps/files.py, which writes them.

A preset replaces the formats: depth files in a format stand beside it only where a caller names
the format too. The .json lists the files of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from depth.family import DEPTH
from depth.maps.files import output_names, write_result
from depth.maps.result import Result
from depth.presets.shot import Shot
from depth.presets.table import preset_named


def result_names(
    base: str,
    formats: Sequence[str],
    preview: bool = False,
    maps: Sequence[str] = (DEPTH,),
    preset: str = "",
) -> list[str]:
    """As `output_names`, with the files of a preset in front; "" is none.

    The files that need a camera may come besides. Raises InputError for an unknown preset too.
    """
    of_preset: Sequence[str] = ()
    if preset:
        from depth.presets.encode import file_names

        of_preset = file_names(preset_named(preset), base)
    return output_names(base, formats, preview, maps, of_preset)


def save_result(
    result: Result,
    stem: Path,
    formats: Sequence[str],
    source: Mapping[str, Any],
    preview: bool = False,
    preset: str = "",
    shot: Optional[Shot] = None,
) -> list[Path]:
    """As `write_result`, with the files of a preset; "" is none.

    shot  what is known of the image; by default what `source` says

    Raises InputError for a result that cannot meet the preset.
    """
    shot = shot or Shot.of(source)
    files = None
    if preset:
        from depth.presets.encode import preset_files

        files = preset_files(preset, result, stem.name, shot)
    return write_result(result, stem, formats, source, preview, shot.pixels, files)
