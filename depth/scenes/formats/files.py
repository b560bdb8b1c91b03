"""What a format answers: its files, not yet made."""

from __future__ import annotations

from typing import Callable

# By their paths in the folder. A call makes the bytes of a file, so only one file is in memory.
Files = dict[str, Callable[[], bytes]]
