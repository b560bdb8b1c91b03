"""The settings of a job over stores, as settings.json in the folder of its results says them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from depth.artifact.strict_json import decode, parse_object
from depth.errors import InputError, StoreError, TooLargeError
from depth.maps.names import check_formats
from depth.presets.names import PRESET_NAMES
from depth.store.objects import ObjectStore

SETTINGS = "settings.json"
FORMAT = 1
_MAX_BYTES = 1 << 20
_OURS = {"artifacts", "formats", "model", "target"}


@dataclass(frozen=True)
class JobSettings:
    """What readers of the results need to know. Further keys of the file are let pass."""

    model: str
    target: str
    precision: str
    formats: tuple[str, ...]
    preview: bool
    preset: str  # with the camera that was asked for, where its files say it; "" for none

    @property
    def preset_name(self) -> str:
        """The preset alone; "" for none."""
        return self.preset.partition(" ")[0]

    @property
    def text(self) -> str:
        """Such as "vits inf1 fp32, preset nyu"."""
        asked = [", ".join(self.formats), self.preset and f"preset {self.preset}"]
        return ", ".join(filter(None, [f"{self.model} {self.target} {self.precision}", *asked]))


def read_settings(store: ObjectStore, folder: str) -> Optional[JobSettings]:
    """The settings in a folder of the store, "" or with / at its end; None if it is of no job.

    Raises StoreError for settings that this version cannot read.
    """
    key = folder + SETTINGS
    try:
        found = store.read(key, _MAX_BYTES)
        meta = {} if found is None else parse_object(found.data)
    except (TooLargeError, ValueError):
        return None
    if not set(meta) >= _OURS:
        return None
    try:
        if meta.get("format") != FORMAT:
            raise ValueError(f"format {meta.get('format')!r}, expected {FORMAT}")
        settings = decode(JobSettings, {"preset": "", **meta}, further=True)
        if settings.preset and settings.preset_name not in PRESET_NAMES:
            raise ValueError(f"preset {settings.preset!r}, which this version does not know")
        check_formats(settings.formats, bool(settings.preset))
    except (ValueError, InputError) as error:
        raise StoreError(
            f"{store.name}/{key}: {error}; take the version that made the results"
        ) from error
    return settings
