"""The options of a folder job, for every front end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from depth.fitting.fitter import Fitter

from depth.presets.names import formats_of


@dataclass(frozen=True, init=False)
class FolderJob:
    """The options of a folder job. All but the folders are given by name.

    formats       of depth files, of depth.maps.files.FORMATS; None: PNG, or none with a preset
    preset        a tool that reads the depth, one of depth.presets.table.PRESETS; "" for none
    preview       whether to write a colour picture beside them
    maps          names of the maps that results have; () for those of the engine's artifacts
    kind          of the depth of results; "" for that of the engine's artifacts
    remark        goes into every result's JSON
    stand_in      a model that replaces a missing one: results of other models stay
    retry_failed  try images again that failed before with the same bytes and settings
    fail_fast     stop at the first failure
    dry_run       only report what the job would do
    memory_gb     limit of the memory of images under way, in GB; None for the default
    fit           moves depth onto measured depth
    """

    input: Path
    output: Path
    formats: Sequence[str]
    preset: str
    preview: bool
    maps: Sequence[str]
    kind: str
    remark: str
    stand_in: str
    retry_failed: bool
    fail_fast: bool
    dry_run: bool
    memory_gb: Optional[float]
    fit: Optional[Fitter]

    def __init__(
        self,
        input: Path,  # noqa: A002
        output: Path,
        *,
        formats: Optional[Sequence[str]] = None,
        preset: str = "",
        preview: bool = False,
        maps: Sequence[str] = (),
        kind: str = "",
        remark: str = "",
        stand_in: str = "",
        retry_failed: bool = True,
        fail_fast: bool = False,
        dry_run: bool = False,
        memory_gb: Optional[float] = None,
        fit: Optional[Fitter] = None,
    ) -> None:
        formats = formats_of(formats, preset)
        given = locals()
        for field in fields(self):
            object.__setattr__(self, field.name, given[field.name])
