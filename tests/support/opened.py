"""How often files are opened in this process, whoever opens them from Python."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_counters: list[_Opens] = []
_watching = False


class _Opens:
    """By path as it was given, made absolute."""

    def __init__(self) -> None:
        # `open` with an opener, as pathlib has it, is two events: one with a mode, one without.
        self._by_mode: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._by_us: Counter[str] = Counter()  # `open_regular`: one event, without a mode

    def see(self, path: object, mode: object, flags: object) -> None:
        if isinstance(path, (str, bytes, os.PathLike)):
            ours = isinstance(flags, int) and flags & os.O_NONBLOCK
            counter = self._by_us if ours else self._by_mode[mode is None]
            counter[str(Path(os.fsdecode(path)).absolute())] += 1

    def of(self, path: Path) -> int:
        name = str(path.absolute())
        return max(counter[name] for counter in self._by_mode) + self._by_us[name]


@contextmanager
def opens() -> Iterator[_Opens]:
    """Counts from here to the end."""
    global _watching
    if not _watching:
        _watching = True
        sys.addaudithook(_hook)  # for good: there is no way to take one away
    counter = _Opens()
    _counters.append(counter)
    try:
        yield counter
    finally:
        _counters.remove(counter)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        for counter in _counters:
            counter.see(*arguments)
