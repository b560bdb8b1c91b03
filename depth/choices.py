"""The names that an option takes, for its help."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from click import Choice


class OneOf(Choice):
    """A type of option, whose help lists the names. Other names are for the command to refuse.

    The command's refusal is one line, the same as that of a job file, and may name the nearest.
    """

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(list(names))

    def __str__(self) -> str:
        """One of a, b, c"""
        return f"One of {', '.join(self.choices)}"

    def convert(self, value: Any, *_: Any) -> Any:
        return value
