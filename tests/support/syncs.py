"""What a process forces onto the disk, and when it renames."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def syncs_and_renames(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that gets the name of each file and folder that is synced, and "renamed"."""
    events: list[str] = []
    sync, rename = os.fsync, Path.rename

    def noted_sync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        events.append("renamed")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    return events
