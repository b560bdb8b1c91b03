"""What a check found, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

OK, NOTE, WARNING, PROBLEM = LEVELS = ("ok", "-", "warning", "problem")


@dataclass(frozen=True)
class Finding:
    level: str  # one of LEVELS; NOTE is neither good nor bad
    topic: str
    text: str
    advice: str = ""  # what to do; warnings and problems have one


def parsed(version: str) -> tuple[int, ...]:
    """2.8.0+cu128 is (2, 8, 0)."""
    return tuple(int(digits) for digits in re.findall(r"\d+", version.split("+")[0]))


def outside(version: Optional[str], low: str, high: str) -> bool:
    """Whether a version is there and not at least `low` and below `high`; "" is no limit."""
    if version is None:
        return False
    found = parsed(version)
    return (bool(low) and found < parsed(low)) or (bool(high) and found >= parsed(high))
