"""Presets for a client: which of them its model can meet, and their files in an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from depth.errors import InputError
from depth.family import DEPTH
from depth.maps.consumer import PresetFiles
from depth.presets.shot import Shot
from depth.presets.table import PICTURE, check_kind, preset_named
from depth.steps.focal import NOTHING_ASKED, FocalAsked
from serve.engine import Engine
from serve.jobs.stage import ImageResult
from serve.recipe import depth_kind


@dataclass(frozen=True)
class PresetMaker:
    """Makes the files of presets.

    kind    of depth that the model gives; "" if it is known image by image
    camera  that the user says of every image
    """

    kind: str = ""
    camera: FocalAsked = NOTHING_ASKED

    def check(self, name: str) -> None:
        """Raises InputError for a preset that there is not, or that the model cannot meet."""
        if PICTURE in preset_named(name).takes:
            raise InputError(
                f"preset {name}: makes a folder of pictures beside depth, which a program gets "
                "from `serve folder --preset`"
            )
        if self.kind:
            check_kind(name, self.kind, "the model")

    def files(
        self, name: str, result: ImageResult, base: str, camera: FocalAsked = NOTHING_ASKED
    ) -> PresetFiles:
        """The files of a preset, named by `base`; `camera` of this image replaces the other.

        Raises InputError as `check`, and for a result that cannot meet the preset.
        """
        from depth.presets.encode import preset_files

        self.check(name)
        asked = self.camera if camera == NOTHING_ASKED else camera
        shot = Shot.of(result.source, asked=asked, exif_focal=result.exif_focal_px)
        return preset_files(name, result, base, shot)


ANY_PRESET = PresetMaker()  # refused image by image


def presets_of(engine: Engine) -> PresetMaker:
    """What makes presets of the engine's results."""
    library = engine.library
    kind = depth_kind(library.any_artifact().manifest) if library.sizes else ""
    return PresetMaker(kind, engine.focal)


def said_of(made: PresetFiles) -> dict[str, Any]:
    """What an answer says: what the numbers are, how they are stored, and the files in order."""
    files = [
        {"role": role, "name": name, "size_bytes": len(data)}
        for role, (name, data) in in_order(made).items()
    ]
    return {"preset": {**asdict(made.facts), "files": files}}


def in_order(made: PresetFiles) -> Mapping[str, tuple[str, bytes]]:
    """The files by role, depth first."""
    return {DEPTH: made.files[DEPTH], **made.files}
