"""Nothing in a store is trusted; damaged artifacts are refused and not kept."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest

from depth.artifact.manifest import Artifact, dump_manifest
from depth.errors import ArtifactError, StoreError
from depth.files import sha256_bytes
from depth.store.catalogue import find, read_entry
from depth.store.folder import FolderStore
from depth.store.listing import listing
from depth.store.names import manifest_key, object_key, verified_key
from depth.store.objects import ObjectStore
from depth.store.pull import pull
from depth.store.push import push
from tests.support.stored_artifacts import (
    FILES,
    contents,
    in_a_folder,
    make,
    manifest_of,
    put_manifest,
    verify,
)


@in_a_folder
@pytest.mark.parametrize(
    ("name", "data", "error", "text"),
    [
        ("programs/518x518-b1.xml", b"<nut/>\n", ArtifactError, "damaged or altered"),
        ("manifest.json", b"{}", StoreError, "changed during the push; push again"),
        ("manifest.json", None, StoreError, "manifest.json: cannot be read: No such file"),
    ],
    ids=["damaged program", "changed manifest", "vanished manifest"],
)
def test_a_damaged_artifact_is_not_pushed(
    store: ObjectStore,
    tmp_path: Path,
    name: str,
    data: Optional[bytes],
    error: type[Exception],
    text: str,
) -> None:
    artifact = make(tmp_path)
    (artifact.folder / name).unlink()
    if data is not None:
        (artifact.folder / name).write_bytes(data)
    with pytest.raises(error, match=text):
        push(store, artifact)
    assert listing(store).rows == []


@in_a_folder
def test_a_report_of_any_size_is_not_taken(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("depth.store.push.MAX_REPORT_BYTES", 2)
    with pytest.raises(StoreError, match="report.json: cannot be read: expected at most 2 b"):
        push(store, make(tmp_path))


@in_a_folder
def test_a_damaged_measurement_is_refused_and_can_be_replaced(
    store: ObjectStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    artifact, foreign = make(tmp_path, passed=None), make(tmp_path, passed=True)
    push(store, artifact)
    verify(foreign)
    belongs = (foreign.folder / "verified.json").read_bytes()
    for data, text in ((b"{", "Expecting property name"), (belongs, "belongs to artifact")):
        store.write(verified_key(artifact.identity), data)
        with pytest.raises(StoreError, match=f"verified.json: {text}.* measure again on the dev"):
            find(store, artifact.identity)
    verify(artifact)
    push(store, artifact)
    assert "replaced: " in caplog.text
    assert find(store, artifact.identity).state == "verified"
    (artifact.folder / "verified.json").write_bytes(belongs)
    with pytest.raises(ArtifactError, match="verified.json: belongs to artifact"):
        push(store, artifact)


@pytest.mark.parametrize("data", [b"", b"<nut/>\n", b"<net/>\n\n", b"<net/>"])
def test_a_damaged_object_is_refused_and_nothing_is_left(
    store: ObjectStore, pushed: Artifact, tmp_path: Path, data: bytes
) -> None:
    key = object_key(sha256_bytes(FILES["programs/518x518-b1.xml"]))
    store.write(key, data)
    with pytest.raises(StoreError, match=f"{key}: is not what its name says; nothing was kept"):
        pull(store, find(store, pushed.identity), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_object_of_the_wrong_size_is_sent_again(
    store: ObjectStore, pushed: Artifact, tmp_path: Path
) -> None:
    store.write(object_key(sha256_bytes(FILES["programs/518x518-b1.xml"])), b"<net")
    assert push(store, pushed).sent_bytes == 7
    pull(store, find(store, pushed.identity), tmp_path / "out")


@in_a_folder
def test_a_damaged_manifest_is_refused_and_is_pushed_again(
    store: ObjectStore, pushed: Artifact
) -> None:
    store.write(manifest_key(pushed.identity), b"{}")
    with pytest.raises(StoreError, match="manifest.json: .*; or push the artifact again from"):
        find(store, pushed.identity)
    assert listing(store).rows == []
    assert [each.identity for each in listing(store).damaged] == [pushed.identity]
    push(store, pushed)
    found = listing(store)
    assert (len(found.rows), found.damaged) == (1, [])


def test_an_enormous_manifest_is_not_read(
    store: ObjectStore, pushed: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("depth.store.catalogue.MAX_MANIFEST_BYTES", 9)
    with pytest.raises(StoreError, match="manifest.json: over 9 bytes; refused"):
        find(store, pushed.identity)


@in_a_folder
def test_another_format_is_refused(store: ObjectStore) -> None:
    identity = put_manifest(store, format=1)
    with pytest.raises(StoreError, match="format 1, this version reads 2"):
        read_entry(store, identity)


@in_a_folder
def test_a_file_path_that_leads_elsewhere_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    named = {"../secret": FILES["programs/518x518-b1.xml"]}
    identity = put_manifest(store, programs=manifest_of(named).programs)
    with pytest.raises(StoreError, match=r"file path '../secret' is not usable; refused"):
        pull(store, find(store, identity), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@in_a_folder
def test_two_files_with_the_same_name_are_refused_and_not_kept(
    store: ObjectStore, tmp_path: Path
) -> None:
    first, second = (manifest_of({"programs/a": data}) for data in FILES.values())
    other = replace(second.programs[0], name="other", shape={**second.programs[0].shape, "B": 2})
    identity = put_manifest(store, programs=(other, *first.programs))
    with pytest.raises(StoreError, match="nothing was kept"):
        pull(store, read_entry(store, identity), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@in_a_folder
def test_pull_leaves_an_existing_damaged_folder_alone(store: ObjectStore, pushed: Artifact) -> None:
    (pushed.folder / "programs/518x518-b1.xml").write_bytes(b"<nut/>\n")
    before = contents(pushed.folder)
    with pytest.raises(StoreError, match="is there already and is damaged .* move it away"):
        pull(store, find(store, pushed.identity), pushed.folder.parent)
    assert contents(pushed.folder) == before


@in_a_folder
@pytest.mark.parametrize("left", [b"<nut", b"<nut/>\n", b"too many bytes"])
def test_a_wrong_file_of_an_interrupted_pull_is_fetched_again(
    store: ObjectStore, pushed: Artifact, tmp_path: Path, left: bytes
) -> None:
    entry = find(store, pushed.identity)
    part = tmp_path / "out" / f".pulling-{entry.identity}" / "programs/518x518-b1.xml"
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    assert contents(pull(store, entry, tmp_path / "out")) == contents(pushed.folder)


@in_a_folder
def test_pull_leaves_an_existing_folder_of_another_identity_alone(
    store: ObjectStore, pushed: Artifact
) -> None:
    path = pushed.folder / "manifest.json"
    path.write_text(path.read_text().replace("Apache-2.0", "MIT"))
    before = contents(pushed.folder)
    with pytest.raises(StoreError, match="the manifest was altered, or this is another artifact"):
        pull(store, find(store, pushed.identity), pushed.folder.parent)
    assert contents(pushed.folder) == before


def test_a_missing_object_is_reported(store: ObjectStore, tmp_path: Path) -> None:
    manifest = manifest_of(FILES)
    store.write(manifest_key(manifest.identity()), dump_manifest(manifest))
    with pytest.raises(StoreError, match="objects/[0-9a-f]+: missing; push the artifact again"):
        pull(store, read_entry(store, manifest.identity()), tmp_path / "out")


@in_a_folder
def test_an_unusable_out_folder_is_reported(
    store: ObjectStore, pushed: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(StoreError, match="out: File exists; name another --out, or make room"):
        pull(store, find(store, pushed.identity), tmp_path / "out")


def test_an_unusable_store_folder_is_reported(tmp_path: Path) -> None:
    artifact = make(tmp_path / "made")
    (tmp_path / "store").mkdir()
    store = FolderStore(tmp_path / "store")
    push(store, artifact)
    shutil.rmtree(tmp_path / "store/objects")
    (tmp_path / "store/objects").write_bytes(b"")
    with pytest.raises(StoreError, match="check the folder's rights"):
        push(store, artifact)
