"""Push and pull: no half artifact is visible, and no object is sent twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import pytest

from depth.artifact.manifest import Artifact
from depth.artifact.verification import next_counter, read_verification, state
from depth.errors import StoreError
from depth.files import sha256_bytes
from depth.store.catalogue import find
from depth.store.listing import listing
from depth.store.names import manifest_key, verified_key
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
    assert len(listing(store).rows) == 2


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
    assert listing(store).rows == []
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


@pytest.fixture(name="two")
def two_fixture(tmp_path: Path) -> tuple[Artifact, Artifact]:
    """One artifact in two folders, as on two machines."""
    one, other = (make(tmp_path / name, passed=None) for name in ("one", "other"))
    return one, other


def counter_of(artifact: Artifact) -> int:
    found = read_verification(artifact)
    assert found is not None
    return found.counter


def test_the_measurement_with_the_higher_counter_counts(
    store: ObjectStore, two: tuple[Artifact, Artifact]
) -> None:
    one, other = two
    verify(one, passed=True, counter=1, day=28)  # by a wrong clock: the latest of all
    verify(other, passed=False, counter=2, day=2)
    push(store, one)
    push(store, other)
    assert find(store, one.identity).state == "failed"
    with pytest.raises(StoreError, match="kept, with counter 2; .* counter 1 and another verdict"):
        push(store, one)
    entry = find(store, one.identity)
    assert entry.state == "failed"
    before = contents(other.folder)
    assert pull(store, entry, other.folder.parent) == other.folder
    assert contents(other.folder) == before
    assert pull(store, entry, one.folder.parent) == one.folder
    assert (state(one), counter_of(one)) == ("failed", 2)
    verify(one, passed=True, counter=next_counter(one), day=1)  # repaired
    pull(store, entry, one.folder.parent)  # here the folder's is the newer one
    assert (state(one), counter_of(one)) == ("verified", 3)
    push(store, one)
    assert find(store, one.identity).state == "verified"
    with pytest.raises(StoreError, match="the store's passed. If the folder's is the newer one, "):
        push(store, other)


@in_a_folder
def test_a_failure_outranks_a_pass_with_an_equal_counter(
    store: ObjectStore, two: tuple[Artifact, Artifact]
) -> None:
    one, other = two
    verify(one, passed=True)
    push(store, one)
    verify(other, passed=False)
    push(store, other)  # never saw the other one
    entry = find(store, one.identity)
    assert (entry.state, entry.verification and entry.verification.counter) == ("failed", 2)
    assert counter_of(other) == 2  # so that the next measurement there replaces it
    push(store, other)
    assert find(store, one.identity) == entry
    for counter in (1, 2):
        verify(one, passed=True, counter=counter, day=28)
        with pytest.raises(StoreError, match="another verdict: the store's failed"):
            push(store, one)
    assert find(store, one.identity) == entry


@in_a_folder
def test_a_lower_counter_with_the_same_verdict_is_said_and_the_stored_one_kept(
    store: ObjectStore, two: tuple[Artifact, Artifact], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = two
    verify(one, counter=2)
    verify(other, counter=1, day=28)
    push(store, one)
    push(store, other)
    assert "kept, with counter 2; the folder's has counter 1" in caplog.text
    assert find(store, one.identity).verification == read_verification(one)


@in_a_folder
def test_a_measurement_that_was_pushed_meanwhile_is_not_overwritten(
    store: ObjectStore, two: tuple[Artifact, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    verify(one, passed=True)
    verify(other, passed=False)
    kept = type(store).read

    def read(self: ObjectStore, key: str, max_bytes: int) -> Any:
        found = kept(self, key, max_bytes)
        if key == verified_key(one.identity):
            monkeypatch.undo()
            push(store, other)
        return found

    monkeypatch.setattr(type(store), "read", read)
    with pytest.raises(StoreError, match="somebody else pushed a measurement .*; push again"):
        push(store, one)
    assert find(store, one.identity).state == "failed"


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
