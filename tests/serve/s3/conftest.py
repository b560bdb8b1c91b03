from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest

from depth.store.objects import ObjectStore, open_store
from tests.support import s3_server


@dataclass
class Pair:
    """Two stores of one kind: images in, results out."""

    source: str
    target: str
    url: Optional[str]
    images: ObjectStore
    results: ObjectStore


@pytest.fixture
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    """Folders, which are quicker, or with the parameter "s3" prefixes of a server."""
    url, place = None, str(tmp_path)
    if getattr(request, "param", "folder") == "s3":
        s3_server.settings(monkeypatch)
        url, place = s3_server.running().url, s3_server.location()
    else:
        (tmp_path / "in").mkdir()
        (tmp_path / "out").mkdir()
    source, target = f"{place}/in", f"{place}/out"
    with open_store(source, url) as images, open_store(target, url) as results:
        yield Pair(source, target, url, images, results)
