"""What a check found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from depth import chips

OK, NOTE, WARNING, PROBLEM = LEVELS = ("ok", "-", "warning", "problem")


@dataclass(frozen=True)
class Finding:
    level: str  # one of LEVELS; NOTE is neither good nor bad
    topic: str
    text: str
    advice: str = ""  # what to do; warnings and problems have one


def outside(version: Optional[str], low: str, high: str) -> bool:
    """As `depth.chips.outside`; False if there is no version."""
    return version is not None and chips.outside(version, low, high)
