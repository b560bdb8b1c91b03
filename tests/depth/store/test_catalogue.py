"""Finding and listing what is in a store, and opening one."""

from __future__ import annotations

from pathlib import Path

import pytest

from depth.artifact.manifest import Artifact
from depth.artifact.verification import MAX_BYTES
from depth.errors import InputError, StoreError
from depth.store.catalogue import MAX_MANIFEST_BYTES, find
from depth.store.folder import FolderStore
from depth.store.listing import HEADING, listing
from depth.store.names import alias_key, manifest_key, verified_key
from depth.store.objects import ObjectStore, open_store
from depth.store.push import push
from tests.support.stored_artifacts import in_a_folder, make


@in_a_folder
def test_find_by_identity_or_folder_name(store: ObjectStore, pushed: Artifact) -> None:
    for reference in (pushed.identity, pushed.identity[:6], pushed.folder.name):
        assert find(store, reference).identity == pushed.identity
    name = pushed.folder.name
    for reference, text in (
        (f"x{name}", f"there is no x{name}; there is {name}"),
        ("f" * 64, "no artifact's identity begins with ffff"),
        ("some/where", "there is no alias some/where; an artifact is named by its identity, or by"),
    ):
        with pytest.raises(StoreError, match=text):
            find(store, reference)
    for reference in ("", "abc", "vits", "ABCDEF"):
        with pytest.raises(InputError, match="expected an alias like vits/inf1/production"):
            find(store, reference)


def test_digits_that_fit_two_are_refused(store: ObjectStore) -> None:
    for end in "12":
        store.write(manifest_key("abcdef" + end * 58), b"")
    with pytest.raises(StoreError, match=r"2 artifacts begin with abcdef \(abcdef111111, abcdef22"):
        find(store, "abcdef")


def test_rows_list_every_artifact_with_its_state(store: ObjectStore, tmp_path: Path) -> None:
    proven, failed = make(tmp_path), make(tmp_path, passed=False, precision="bf16")
    built = make(tmp_path, passed=None, target="inf1")
    for artifact in (proven, failed, built):
        push(store, artifact)
    store.write("artifacts/stray.txt", b"not ours")
    found = {row.cells[0]: row.cells[1:-1] for row in listing(store).rows}
    assert found == {
        proven.folder.name: ("openvino", "fp32", "518x518", "0.0", "verified", "-"),
        failed.folder.name: ("openvino", "bf16", "518x518", "0.0", "failed", "-"),
        built.folder.name: ("inf1", "fp32", "518x518", "0.0", "built", "-"),
    }
    assert all(len(row.cells) == len(HEADING) for row in listing(store).rows)


def test_objects_that_are_too_large_are_damaged(store: ObjectStore, tmp_path: Path) -> None:
    artifact, other = make(tmp_path), make(tmp_path, precision="bf16")
    for each in (artifact, other):
        push(store, each)
    store.write(manifest_key("ab" * 32), bytes(MAX_MANIFEST_BYTES + 1))
    store.write(verified_key(other.identity), bytes(MAX_BYTES + 1))
    store.write(alias_key("vits/inf1/production"), bytes(1 << 20))
    found = listing(store)
    assert [row.entry.identity for row in found.rows] == [artifact.identity]
    assert len(found.damaged) == 3
    reasons = {each.identity: each.reason for each in found.damaged}
    assert f"{MAX_MANIFEST_BYTES} bytes; refused" in reasons["ab" * 32]


@in_a_folder
def test_a_store_that_fails_amid_a_listing_is_an_error(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(store, make(tmp_path))

    def read(*_: object) -> None:
        raise StoreError("connection lost")

    monkeypatch.setattr(type(store), "read", read)
    with pytest.raises(StoreError, match="connection lost"):
        listing(store)


def test_a_location_is_a_bucket_or_a_folder(tmp_path: Path) -> None:
    with open_store(f"file://{tmp_path}") as store:
        assert isinstance(store, FolderStore)
    for location, text in (
        ("gs://bucket", "expected s3://bucket/prefix, file:///folder or a folder"),
        ("s3://", "'' is not a bucket's name"),
        ("s3://a b/c", "'a b' is not a bucket's name"),
    ):
        with pytest.raises(InputError, match=text), open_store(location):
            pass
    with pytest.raises(StoreError, match="nowhere: no such folder; create it"):
        open_store(str(tmp_path / "nowhere")).__enter__()
    with pytest.raises(InputError, match="--endpoint-url is for s3:// only"):
        open_store(str(tmp_path), "http://127.0.0.1:1").__enter__()


def test_without_boto3_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "depth.store.s3", None)
    with pytest.raises(StoreError, match="needs a package that is not installed .*make setup"):
        open_store("s3://bucket/prefix").__enter__()
