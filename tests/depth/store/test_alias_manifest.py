"""An alias keeps the sha256 of the whole manifest that it was promoted with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from depth.errors import StoreError
from depth.store.catalogue import find
from depth.store.names import manifest_key
from depth.store.objects import ObjectStore
from depth.store.promote import promote
from tests.depth.store.test_promote import PRODUCTION, pushed
from tests.support.stored_artifacts import a_store


@pytest.fixture(params=["s3", "folder"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ObjectStore]:
    with a_store(request.param, tmp_path, monkeypatch) as opened:
        yield opened


def test_other_measured_figures_than_were_promoted_are_refused(
    store: ObjectStore, tmp_path: Path
) -> None:
    entry = pushed(store, tmp_path)
    promote(store, entry, PRODUCTION)
    altered = entry.data.replace(b'"max_rel": 1e-05', b'"max_rel": 9e-09')
    assert altered != entry.data
    store.write(manifest_key(entry.identity), altered)
    assert find(store, entry.identity).identity == entry.identity
    with pytest.raises(StoreError, match="measured figures were altered"):
        find(store, PRODUCTION)
    promote(store, find(store, entry.identity), PRODUCTION)  # somebody has looked at it
    assert find(store, PRODUCTION).data == altered
