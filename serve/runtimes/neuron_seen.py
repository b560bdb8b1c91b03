"""Texts of the runtime that a first run on real machines met and that no other table has.

Rows: pattern, value of the action, advice. `python -m tests.benchmarks.first_run` writes them.
"""

from __future__ import annotations

SEEN: tuple[tuple[str, str, str], ...] = ()
