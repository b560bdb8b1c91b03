"""What became of every image, in objects of JSON lines beside the results.

    FOLDER/_reports/<shard>/<time>-<run>-<number>.jsonl

A store cannot append to an object, so each run adds new objects. No job reads them: what counts as
done is what a listing of the results shows.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from depth.store.objects import ObjectStore
from serve.jobs.entry import KEPT, Entry, Report
from serve.jobs.objects.shard import Shard

REPORTS = "_reports"
_LINES, _EVERY_S = 1000, 60.0  # of an object: the most lines, and the longest wait


class Log:
    """Lines of one run. For one thread."""

    def __init__(self, store: ObjectStore, folder: str, shard: Shard) -> None:
        self._store = store
        started = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        self._stem = f"{folder}/{REPORTS}/{shard.name}/{started}-{uuid.uuid4().hex[:8]}"
        self._lines: list[str] = []
        self._number = 0
        self._last_s = time.monotonic()

    @property
    def place(self) -> str:
        """Where the objects of this run are, without their numbers."""
        return f"{self._store.name}/{self._stem}"

    def add(self, entry: Entry) -> None:
        """Add a line, unless an earlier run made the result. Raises StoreError."""
        if entry.status != KEPT:
            self._lines.append(_line(entry))
        if len(self._lines) >= _LINES or time.monotonic() - self._last_s >= _EVERY_S:
            self.flush()

    def finish(self, report: Report) -> None:
        """Write what is left, and the counts of the run. Raises StoreError."""
        counts = dict(report.counts)
        self._lines.append(_dumped({"counts": counts, "left": report.left, "end": report.stopped}))
        self.flush()

    def flush(self) -> None:
        """Write the lines since the last time. Raises StoreError, and keeps them then."""
        if self._lines:
            data = "".join(self._lines).encode("utf-8", "backslashreplace")
            self._store.write(f"{self._stem}-{self._number:05}.jsonl", data)
            self._lines.clear()
            self._number += 1
        self._last_s = time.monotonic()


def _line(entry: Entry) -> str:
    fields = asdict(entry)
    del fields["settings"]  # settings.json has them, for all images
    fields["finished"] = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return _dumped(fields)


def _dumped(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False) + "\n"
