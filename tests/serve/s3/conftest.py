from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from depth.store.objects import ObjectStore, open_store
from tests.support import s3_server


@dataclass
class Pair:
    """Two stores on one server: images in, results out."""

    source: str
    target: str
    url: str
    images: ObjectStore
    results: ObjectStore


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    s3_server.settings(monkeypatch)
    url, place = s3_server.running().url, s3_server.location()
    source, target = f"{place}/in", f"{place}/out"
    with open_store(source, url) as images, open_store(target, url) as results:
        yield Pair(source, target, url, images, results)
