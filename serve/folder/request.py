"""What a folder job is asked for, whatever front end asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from depth.family import DEPTH
from depth.maps.files import output_names


@dataclass(frozen=True, init=False)
class FolderJob:
    """What a folder job is asked for. All but the folders are given by name.

    formats       of depth files, at least one of depth.maps.files.FORMATS
    preview       whether to write a colour picture beside them
    maps          names of the maps that results have; () for those of the engine's artifacts
    remark        goes into every result's JSON
    stand_in      a model in another's place: results of others are not replaced
    retry_failed  try images again whose bytes and settings failed before
    fail_fast     stop at the first failure
    dry_run       only say what would be done
    """

    input: Path
    output: Path
    formats: Sequence[str]
    preview: bool
    maps: Sequence[str]
    remark: str
    stand_in: str
    retry_failed: bool
    fail_fast: bool
    dry_run: bool

    def __init__(
        self,
        input: Path,  # noqa: A002
        output: Path,
        *,
        formats: Sequence[str] = ("png",),
        preview: bool = False,
        maps: Sequence[str] = (),
        remark: str = "",
        stand_in: str = "",
        retry_failed: bool = True,
        fail_fast: bool = False,
        dry_run: bool = False,
    ) -> None:
        given = locals()
        for field in fields(self):
            object.__setattr__(self, field.name, given[field.name])

    def names(self, base: str) -> list[str]:
        """File names that a base name makes; the .json is the last."""
        return output_names(base, self.formats, self.preview, self.maps or (DEPTH,))
