"""A progress bar on stderr for bytes on their way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from compile.store.objects import OnBytes


@contextmanager
def transfer(text: str, total_bytes: int) -> Iterator[OnBytes]:
    """Yields a function to call with each number of bytes done. On no terminal: one line."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{text}: {total_bytes / 1e6:.1f} MB", highlight=False, soft_wrap=True)
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(text, total=total_bytes)
        yield lambda size_bytes: bar.advance(task, size_bytes)
