"""Push and pull: no half artifact is visible, and no object is sent twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import pytest

from depth.artifact.manifest import Artifact, read_artifact
from depth.errors import StoreError
from depth.files import sha256_bytes
from depth.store.catalogue import find, rows
from depth.store.names import manifest_key
from depth.store.objects import ObjectStore
from depth.store.pull import pull
from depth.store.push import Pushed, push
from tests.support.stored_artifacts import FILES, contents, in_a_folder, make, verify

SIZE_BYTES = sum(map(len, FILES.values()))


def keys(store: ObjectStore) -> set[str]:
    return {listed.key for listed in store.listed("")}


def test_pull_returns_the_pushed_bytes(store: ObjectStore, tmp_path: Path) -> None:
    artifact = make(tmp_path / "made")
    assert push(store, artifact) == Pushed(sent_bytes=SIZE_BYTES, kept_bytes=0)
    done: list[int] = []
    folder = pull(store, find(store, artifact.identity), tmp_path / "out", done.append)
    assert folder == tmp_path / "out" / artifact.folder.name
    assert contents(folder) == contents(artifact.folder)
    assert sum(done) == SIZE_BYTES
    assert [path.name for path in (tmp_path / "out").iterdir()] == [artifact.folder.name]


def test_keys_are_hashes(store: ObjectStore, pushed: Artifact) -> None:
    names = ("manifest.json", "report.json", "report.md")
    assert keys(store) == {
        *(f"objects/{sha256_bytes(data)}" for data in FILES.values()),
        *(f"artifacts/{pushed.identity}/{name}" for name in names),
    }


def test_pushing_twice_sends_nothing_twice(
    store: ObjectStore, pushed: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(store), "write", None)
    assert push(store, pushed) == Pushed(sent_bytes=0, kept_bytes=SIZE_BYTES)


@in_a_folder
def test_artifacts_share_their_objects(store: ObjectStore, tmp_path: Path) -> None:
    push(store, make(tmp_path))
    other = make(tmp_path, {**FILES, "programs/518x518-b1.xml": b"<other/>"})
    assert push(store, other) == Pushed(8, len(FILES["programs/518x518-b1.bin"]))
    assert len(rows(store)) == 2


@in_a_folder
def test_a_push_that_ends_early_shows_nothing(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = make(tmp_path)
    kept = type(store).write

    def write(self: ObjectStore, key: str, data: bytes) -> None:
        if key == manifest_key(artifact.identity):
            raise StoreError("cut off")
        kept(self, key, data)

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "write", write)
        with pytest.raises(StoreError, match="cut off"):
            push(store, artifact)
    assert len(keys(store)) == 4
    assert rows(store) == []
    with pytest.raises(StoreError, match="no artifact's identity begins with .* shows what there"):
        find(store, artifact.identity[:12])
    assert push(store, artifact).sent_bytes == 0
    assert find(store, artifact.identity[:12]).identity == artifact.identity


@in_a_folder
def test_a_later_measurement_reaches_earlier_pulls(store: ObjectStore, tmp_path: Path) -> None:
    artifact = make(tmp_path / "made", passed=None)
    push(store, artifact)
    assert find(store, artifact.identity).state == "built"
    folder = pull(store, find(store, artifact.identity), tmp_path / "out")
    verify(artifact)
    assert push(store, artifact).sent_bytes == 0
    entry = find(store, artifact.identity)
    assert entry.state == "verified"
    assert pull(store, entry, tmp_path / "out") == folder
    assert contents(folder) == contents(artifact.folder)
    assert pull(store, entry, tmp_path / "new").name == folder.name
    assert contents(tmp_path / "new" / folder.name) == contents(folder)


@in_a_folder
def test_two_concurrent_pulls_both_succeed(
    store: ObjectStore, pushed: Artifact, tmp_path: Path
) -> None:
    entry = find(store, pushed.identity)
    with ThreadPoolExecutor(2) as pool:
        folders = set(pool.map(lambda _: pull(store, entry, tmp_path / "out"), range(2)))
    (folder,) = folders
    assert contents(tmp_path / "out") == {
        f"{folder.name}/{name}": data for name, data in contents(pushed.folder).items()
    }


@in_a_folder
def test_the_last_measurement_counts(store: ObjectStore, tmp_path: Path) -> None:
    one, other = make(tmp_path / "one", passed=None), make(tmp_path / "other", passed=None)
    verify(one, passed=True, day=1)
    verify(other, passed=False, day=2)
    push(store, one)
    push(store, other)
    push(store, one)  # older: the store keeps what it has
    entry = find(store, one.identity)
    assert entry.state == "failed"
    before = contents(other.folder)
    assert pull(store, entry, tmp_path / "other") == other.folder
    assert contents(other.folder) == before
    verify(other, passed=True, day=3)
    pull(store, entry, tmp_path / "other")  # here the folder's is the newer one
    assert read_artifact(other.folder) == other
    assert b"01-03" in (other.folder / "verified.json").read_bytes()


def test_an_interrupted_pull_keeps_the_files_that_are_complete(
    store: ObjectStore, pushed: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = find(store, pushed.identity)
    asked: list[str] = []
    kept: Callable[..., None] = type(store).download

    def download(self: ObjectStore, key: str, *arguments: Any) -> None:
        asked.append(key)
        if len(asked) == 2:
            raise KeyboardInterrupt
        kept(self, key, *arguments)

    monkeypatch.setattr(type(store), "download", download)
    with pytest.raises(KeyboardInterrupt):
        pull(store, entry, tmp_path / "out")
    (staging,) = (tmp_path / "out").iterdir()
    assert staging.name.startswith(".pulling-")
    done: list[int] = []
    folder = pull(store, entry, tmp_path / "out", done.append)
    assert asked[1:] == asked[1:2] * 2
    assert sum(done) == SIZE_BYTES
    assert contents(folder) == contents(pushed.folder)
    assert not staging.exists()
