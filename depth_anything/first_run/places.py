"""Where a first run reads and writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional


@dataclass(frozen=True)
class Places:
    results: Path  # packed at the end: text only
    artifacts: Path  # never packed
    store: str  # a folder or s3://
    images: Path
    checkpoint: Optional[str]  # of the model; None: its own in checkpoints/, or downloaded
