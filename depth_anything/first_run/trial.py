"""A trial: commands with a time limit. Tried: what came of it, kept as a file of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from depth.artifact.strict_json import decode, parse_object
from depth.files import read_regular, write_whole

PASSED, FAILED, TIMED_OUT, STOPPED = "passed", "failed", "timed out", "stopped"
# In a command: the folder that the command before printed last; the trial's own folder.
ARTIFACT, FOLDER = "{artifact}", "{folder}"
COMPILE, SERVE = "compile", "serve"  # roles: the compile host, and the instance
Words = tuple[str, ...]  # of a command, after `python`
_RESULT = "result.json"
_MAX_RESULT_BYTES = 1 << 22


@dataclass(frozen=True)
class Trial:
    """Commands that run one after the other; the first that fails ends the trial.

    name         of its folder in the results
    about        what it is for, in words
    limit_s      for all commands together
    commands     the words after `python`
    environment  variables beside those of the user
    monitored    `neuron-monitor` runs beside it, where there is one
    keep         files that are copied into the trial's folder afterwards
    """

    name: str
    about: str
    limit_s: float
    commands: tuple[Words, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    monitored: bool = False
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tried:
    """What came of a trial."""

    name: str
    role: str
    about: str
    state: str  # PASSED, FAILED, TIMED_OUT or STOPPED
    commands: tuple[Words, ...]
    duration_s: float
    why: str  # the last line that a failed command wrote; "" if it passed
    artifact: Optional[str]  # name of the folder that was built
    facts: dict[str, Any]  # that the commands printed as JSON or left in files, see reading.py

    @property
    def passed(self) -> bool:
        return self.state == PASSED


def write_tried(folder: Path, tried: Tried) -> None:
    write_whole(folder / _RESULT, json.dumps(asdict(tried), indent=2) + "\n")


def read_tried(folder: Path) -> Optional[Tried]:
    """What came of the trial whose results are in this folder; None if it did not end."""
    try:
        return decode(Tried, parse_object(read_regular(folder / _RESULT, _MAX_RESULT_BYTES)))
    except (OSError, ValueError):
        return None


def read_all(results: Path) -> list[Tried]:
    """Everything that was tried, by role, in the order in which it was tried."""
    folders = sorted(path.parent for path in results.glob(f"*/*/{_RESULT}"))
    found = [tried for folder in folders if (tried := read_tried(folder))]
    return sorted(found, key=lambda tried: tried.role != COMPILE)


def by_name(tried: Sequence[Tried]) -> dict[str, Tried]:
    return {row.name: row for row in tried}
