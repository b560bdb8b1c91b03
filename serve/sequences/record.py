"""sequence.json: how each frame was placed, so that it can be undone; the videos; the flicker.

Keys, format 1:

    sequence   1
    source     {kind: video or folder, path, audio}
    kind       of depth, as in a result's .json
    range      sequence, streaming or frame; align: none or neighbours
    tick_s     [n, d]: n/d seconds; a frame's `pts` counts them
    flicker    before, after, own_range: see depth/sequences/flicker.py; null without two frames
    shots      how many there are
    files      name -> {size_bytes, sha256} of the videos
    videos_of  sha256 of all that the videos were made of
    notes      what a user should know
    frames     one line each: the fields of `Record`

The frames pass through a temporary file: memory does not grow with their number.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from depth.artifact.strict_json import parse_object
from depth.files import read_regular, replacing
from depth.fitting.robust import ScaleShift
from depth.sequences.following import Placed
from serve.folder.manifest import SEQUENCE
from serve.sequences.raw import RawFrame

NAME, FORMAT = SEQUENCE, 1
_MAX_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Record:
    """A frame in sequence.json: value in frames/ = scale * value in raw/ + shift.

    low, high   the values that its picture shows darkest and brightest, or the other way round
    code_scale, code_offset   value = code_offset + code_scale * code of depth.mkv and 16-bit files
    fitted      false: neighbours did not agree, so middle and spread are those of the frame before
    flicker     against the frame before, as written; null for the first of a shot
    """

    number: int
    name: str
    pts: int
    seconds: float
    status: str
    reason: str = ""
    sha256: str = ""  # of the image
    raw_sha256: str = ""  # of the depth file in raw/
    kind: str = ""
    begins_shot: bool = False
    scale: float = 1.0
    shift: float = 0.0
    fitted: bool = True
    low: Optional[float] = None
    high: Optional[float] = None
    code_scale: Optional[float] = None
    code_offset: Optional[float] = None
    flicker: Optional[float] = None

    @property
    def move(self) -> ScaleShift:
        return ScaleShift(self.scale, self.shift)


def record_of(found: RawFrame, pts: int, placed: Optional[Placed]) -> Record:
    """The record of a frame; without a place it has no depth."""
    frame = found.frame
    base = Record(
        frame.number,
        frame.name,
        pts,
        float(frame.seconds),
        found.status,
        found.reason,
        found.sha256,
        found.depth_sha256,
        found.kind,
    )
    if placed is None:
        return base
    low, high = placed.span or (None, None)
    return Record(
        **{
            **asdict(base),
            "begins_shot": placed.begins,
            "scale": placed.move.scale,
            "shift": placed.move.shift,
            "fitted": placed.fitted,
            "low": low,
            "high": high,
            "flicker": placed.flicker,
        }
    )


class Records(AbstractContextManager["Records"]):
    """Records in a temporary file, in their order."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - closed below

    def add(self, record: Record) -> None:
        self._file.write(json.dumps(asdict(record)) + "\n")

    def lines(self) -> Iterator[str]:
        """The records as JSON."""
        self._file.seek(0)
        yield from (line.rstrip("\n") for line in self._file)

    def __iter__(self) -> Iterator[Record]:
        yield from (Record(**json.loads(line)) for line in self.lines())

    def __exit__(self, *_raised: object) -> None:
        self._file.close()

    def digest(self) -> str:
        """Of all that pictures and videos are made of: every field but the status."""
        found = hashlib.sha256()
        for line in self.lines():
            fields = json.loads(line)
            found.update(json.dumps({**fields, "status": "", "reason": ""}).encode())
        return found.hexdigest()


def write(folder: Path, about: Mapping[str, Any], records: Records) -> Path:
    """Write sequence.json whole; returns its path."""
    path = folder / NAME
    with replacing(path) as file:
        head = json.dumps({"sequence": FORMAT, **about}, indent=1)
        file.write(head[: -len("\n}")].encode() + b',\n "frames": [')
        separator = b"\n  "
        for line in records.lines():
            file.write(separator + line.encode())
            separator = b",\n  "
        file.write(b"\n ]\n}\n")
    return path


def read(folder: Path) -> dict[str, Any]:
    """What sequence.json says; {} if there is none of this format."""
    try:
        found = parse_object(read_regular(folder / NAME, _MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if found.get("sequence") == FORMAT else {}
