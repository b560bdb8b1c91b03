"""The log of a folder job: one JSON line per finished image; the last line of an image counts.

serve/jobs/lines.py writes and reads the lines. Keys of a line, format 2:

    format     2
    image      path inside the input folder
    status     "done" or "failed"
    sha256     of the image's bytes; "" if they could not be read
    settings   formats, preset, preview, remark, `provenance`: model, weights, artifact, precision,
               shape policy, size, steps; `focal`, the focal length for metres; and `fit`, what
               depth is moved onto. Null where no size could be chosen
    outputs    name inside the output folder -> bytes
    reason     why it failed, else ""
    notes      what was left out of the image, such as "alpha ignored"
    timing_ms  of read, wait, network and write, where the image was worked on
    fit        how depth was moved onto measured depth; null without --fit
    finished   UTC time, ISO 8601

A line without `image` has `left_out`: how many files of each extension, "" for none, the last job
left out because they are no images by their names. There is no such line if there were none.

A line without both has `unlisted`: name inside the output folder -> {size_bytes, sha256}. These are
files of ours that no .json lists: of earlier results, and of all images of a preset. The last line
of a name counts. `clean` removes such a file unless its bytes are others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from depth.artifact.strict_json import decode
from serve.jobs.entry import FAILED, Entry
from serve.jobs.lines import Lines, Place, lines_in

MANIFEST = "depth-report.jsonl"  # no output of an image can have this name
SEQUENCE = "sequence.json"  # of a sequence: see serve/sequences/record.py
FORMAT = 2


@dataclass(frozen=True)
class Unlisted:
    """A file of ours that no .json lists."""

    size_bytes: int
    sha256: str


class JobManifest:
    """The manifest in an open file, or an empty manifest. Holds the place of each last line.

    Safe in any thread.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.failed: dict[str, Entry] = {}  # of the images that had failed when it was opened
        self._where: dict[str, Place] = {}  # of the last line of an image
        self._unlisted: list[Place] = []
        self._left_out: object = {}  # by the last line about it
        lines.read(self._take)
        for image, entry in ((image, self.find(image)) for image in self._where):
            if entry is not None and entry.status == FAILED:
                self.failed[image] = entry

    @property
    def path(self) -> Path:
        return self._lines.path

    @property
    def images(self) -> list[str]:
        """The images that have an entry."""
        return list(self._where)

    def find(self, image: str) -> Optional[Entry]:
        """The last entry of an image; None if there is none of this format."""
        if image not in self._where:
            return None
        try:
            found = self._lines.at(self._where[image])
            if isinstance(found.get("settings"), dict):
                found["settings"] = {"fit": None, "preset": "", **found["settings"]}
            return decode(Entry, {"fit": None, **found}, further=True)
        except (OSError, ValueError):
            return None

    def append(self, entry: Entry) -> None:
        """Add an entry. Raises ManifestError if the disk refuses."""
        self._where[entry.image] = self._lines.add(asdict(entry))

    def note_left_out(self, extensions: Mapping[str, int]) -> None:
        """Add how many other files there are, unless the last such line says it.

        Raises ManifestError as `append`.
        """
        if self._left_out != extensions:
            self._lines.add({"left_out": dict(extensions)})

    def note_unlisted(self, files: Mapping[str, Unlisted]) -> None:
        """Add files that no .json will list, by their names in the output folder.

        Raises ManifestError as `append`.
        """
        content = {name: asdict(file) for name, file in files.items()}
        self._unlisted.append(self._lines.add({"unlisted": content}))

    def unlisted(self) -> dict[str, Unlisted]:
        """The files that no .json lists; a line that cannot be read counts as none."""
        found: dict[str, Unlisted] = {}
        for place in self._unlisted:
            with suppress(OSError, ValueError, LookupError):
                files = self._lines.at(place)["unlisted"]
                found.update({name: decode(Unlisted, each) for name, each in files.items()})
        return found

    def _take(self, place: Place, found: dict[str, Any]) -> bool:
        if isinstance(found.get("image"), str):
            self._where[found["image"]] = place
        elif "left_out" in found:
            self._left_out = found["left_out"]
        elif isinstance(found.get("unlisted"), dict):
            self._unlisted.append(place)
        else:
            return False
        return True


@contextmanager
def manifest_in(folder: Path, writable: bool) -> Iterator[JobManifest]:
    """The manifest of an output folder. A writable manifest is locked for this process.

    Raises ManifestError if the file cannot be used, is a link, or another job is writing.
    """
    with lines_in(folder / MANIFEST, FORMAT, writable) as lines:
        yield JobManifest(lines)
