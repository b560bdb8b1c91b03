"""The options of depth files, for every command that makes them."""

from __future__ import annotations

from typing import Any

from depth.command import choice_option
from depth.presets.names import PRESET_NAMES

FORMAT: Any = choice_option(
    None,
    ("png", "npy", "npz", "pfm", "exr", "tiff"),
    "png, the default without --preset: 16-bit. Repeat it for several.",
)
PRESET: Any = choice_option(
    None,
    PRESET_NAMES,
    "Write depth as another tool reads it, in place of --format; to have both, give both. "
    "docs: depth/presets/README.md.",
)
