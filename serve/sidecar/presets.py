"""Presets for a client: which of them its model can meet, and their files in an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Optional

from depth.family import DEPTH
from depth.maps.consumer import PresetFiles
from depth.presets.encode import preset_files
from depth.presets.shot import Shot
from depth.presets.table import PICTURE, check_kind, preset_named
from depth.steps.focal import NOTHING_ASKED, FocalAsked
from serve.engine import Engine
from serve.jobs.stage import ImageResult
from serve.recipe import depth_kind
from serve.sidecar.values import Look


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
        preset_named(name)
        if self.kind:
            check_kind(name, self.kind, "the model")

    def files(
        self,
        name: str,
        result: ImageResult,
        base: str,
        camera: FocalAsked = NOTHING_ASKED,
        look: Optional[Look] = None,
    ) -> PresetFiles:
        """The files of a preset, named by `base`.

        camera  of this image, in place of the other
        look    gives the image, for a preset that has it beside the depth

        Raises InputError as `check`, and for a result that cannot meet the preset.
        """
        self.check(name)
        asked = self.camera if camera == NOTHING_ASKED else camera
        pixels = look() if look and PICTURE in preset_named(name).takes else None
        known = {"asked": asked, "exif_focal": result.exif_focal_px, "pixels": pixels}
        shot = Shot.of(result.source, **known)
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
