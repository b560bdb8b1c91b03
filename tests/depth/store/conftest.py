"""Empty stores: every test that takes `store` runs on S3 and in a folder, unless it is marked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from depth.artifact.manifest import Artifact
from depth.store.objects import ObjectStore
from depth.store.push import push
from depth.store.s3 import S3Store
from tests.support.stored_artifacts import a_store, make


@pytest.fixture(params=["s3", "folder"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ObjectStore]:
    with a_store(request.param, tmp_path, monkeypatch) as opened:
        yield opened


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    with a_store("s3", tmp_path, monkeypatch) as opened:
        assert isinstance(opened, S3Store)
        yield opened


@pytest.fixture
def pushed(store: ObjectStore, tmp_path: Path) -> Artifact:
    """An artifact in a folder below `tmp_path/made` that the store has."""
    artifact = make(tmp_path / "made")
    push(store, artifact)
    return artifact
