"""The options of a sequence job, for every front end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from depth.errors import InputError
from depth.sequences.following import ALIGNMENTS, NEIGHBOURS
from depth.sequences.ranges import RANGES, SEQUENCE
from serve.folder.request import FolderJob

_MOST_FPS = 1000.0


@dataclass(frozen=True)
class SequenceJob:
    """A folder job whose images are the frames of a sequence.

    folder  input: a folder of frames or a video; output, formats, preview and the rest as there
    ranges  of RANGES: what all pictures of the sequence show
    align   of ALIGNMENTS
    fps     of a video: frames per second to take, None for all. Of a folder: its rate, None for 24

    Raises InputError for a value that is none of these.
    """

    folder: FolderJob
    ranges: str = SEQUENCE
    align: str = NEIGHBOURS
    fps: Optional[float] = None

    def __post_init__(self) -> None:
        if self.folder.fit is not None:
            raise InputError(
                "--sequence with a reference of --fit: a folder job takes it; run it on the frames "
                "without --sequence"
            )
        for what, given, known in (
            ("--range", self.ranges, RANGES),
            ("--align", self.align, ALIGNMENTS),
        ):
            if given not in known:
                raise InputError(f"{what} {given}: expected one of {', '.join(known)}")
        if self.fps is not None and not 0 < self.fps <= _MOST_FPS:
            raise InputError(f"--fps {self.fps:g}: expected over 0, up to {_MOST_FPS:g}")
