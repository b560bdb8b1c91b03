"""What travels between the driver and the workers: keys and fates as text, never pixels."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Optional

from depth.maps.fit import FitRecord
from serve.jobs.entry import Entry
from serve.jobs.objects.keys import Stored
from serve.jobs.objects.listing import Waiting


def dump_waiting(waiting: Waiting) -> str:
    """An image that needs work, as JSON."""
    return json.dumps(asdict(waiting))


def parse_waiting(text: str) -> Waiting:
    """What `dump_waiting` made."""
    fields: dict[str, Any] = json.loads(text)
    known = {sha256: Stored(**each) for sha256, each in fields.pop("known").items()}
    check: Optional[dict[str, Any]] = fields.pop("check")
    return Waiting(**fields, known=known, check=Stored(**check) if check else None)


def dump_entry(entry: Entry) -> str:
    """The fate of an image, as JSON."""
    fields = asdict(entry)
    del fields["settings"]
    return json.dumps(fields)


def parse_entry(text: str) -> Entry:
    """What `dump_entry` made."""
    fields: dict[str, Any] = json.loads(text)
    fit = fields["fit"]
    found = {"notes": tuple(fields["notes"]), "fit": FitRecord(**fit) if fit else None}
    return Entry(**{**fields, **found})
