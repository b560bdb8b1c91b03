"""What the .json beside depth files says of the files that another tool reads: its key `preset`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from depth.files import sha256_bytes

NamedBytes = tuple[str, bytes]  # a file


@dataclass(frozen=True)
class Picture:
    """A file that the .json lists: the preview, or a file of a preset."""

    name: str
    size_bytes: int
    sha256: str

    @staticmethod
    def of(file: NamedBytes) -> Picture:
        """What is listed of a file with these bytes."""
        name, data = file
        return Picture(name, len(data), sha256_bytes(data))


@dataclass(frozen=True)
class PresetFacts:
    """How the files of a preset store depth: value = offset + scale * stored number.

    name        of the preset
    asked       what the files depend on beside the result, such as the camera that was asked for
    holds       distance, inverse, nearness or native
    dtype       of the stored numbers
    invalid     what stands where there is no depth
    invalid_px  pixels without depth
    beyond_px   pixels whose distance is too large for the codes; they are stored as without depth
    facts       what else the tool needs
    """

    name: str
    asked: str
    holds: str
    dtype: str
    scale: float
    offset: float
    invalid: str
    invalid_px: int
    beyond_px: int
    facts: Mapping[str, Any]

    @property
    def setting(self) -> str:
        """The preset, and what its files depend on beside the result."""
        return f"{self.name} {self.asked}".strip()


@dataclass(frozen=True)
class ListedPreset(PresetFacts):
    """The files of a preset, as the .json lists them by their roles; names may have a folder."""

    files: Mapping[str, Picture]


@dataclass(frozen=True)
class PresetFiles:
    """The files of a preset by their roles, `depth` first, and what is said of them."""

    facts: PresetFacts
    files: Mapping[str, NamedBytes]

    def listed(self) -> dict[str, Any]:
        """What the .json says."""
        files = {role: asdict(Picture.of(file)) for role, file in self.files.items()}
        return {**asdict(self.facts), "files": files}


def is_inside(name: str) -> bool:
    """Whether a name that a .json lists stays in the folder of the .json."""
    path = PurePosixPath(name)
    return bool(path.name) and not path.is_absolute() and not {"..", "."} & set(name.split("/"))
