"""Links, pipes and devices in a store, in an artifact and in a pull's hidden folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from depth.artifact.manifest import Artifact
from depth.errors import ArtifactError, StoreError
from depth.files import sha256_bytes
from depth.store.catalogue import find
from depth.store.listing import listing
from depth.store.names import manifest_key, object_key
from depth.store.objects import ObjectStore
from depth.store.pull import pull
from depth.store.push import push
from tests.support.stored_artifacts import FILES, contents, in_a_folder, make, verify
from tests.support.syncs import syncs_and_renames


def plant(path: Path, target: Path, kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        (os.link if kind == "hard link" else os.symlink)(target, path)


@in_a_folder
@pytest.mark.parametrize("name", ["report.json", "verified.json", "manifest.json"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_pushed(
    store: ObjectStore, tmp_path: Path, name: str, kind: str
) -> None:
    """A pipe would keep push waiting, and a device would fill the memory."""
    artifact = make(tmp_path / "made", passed=None)
    (artifact.folder / name).unlink(missing_ok=True)
    plant(artifact.folder / name, Path("/dev/zero"), "pipe" if kind == "pipe" else "link")
    with pytest.raises((StoreError, ArtifactError), match="not a regular file|leads out of the"):
        push(store, artifact)


@in_a_folder
def test_a_report_that_is_a_link_to_another_file_is_not_pushed(
    store: ObjectStore, tmp_path: Path
) -> None:
    artifact = make(tmp_path / "made")
    (tmp_path / "secret").write_text("secret")
    (artifact.folder / "report.md").unlink()
    plant(artifact.folder / "report.md", tmp_path / "secret", "link")
    with pytest.raises(ArtifactError, match="'report.md' leads out of the folder; refused"):
        push(store, artifact)


@in_a_folder
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_or_pipe_planted_in_a_store_folder_is_not_read(
    store: ObjectStore, pushed: Artifact, tmp_path: Path, kind: str
) -> None:
    identity = pushed.identity
    (tmp_path / "secret").write_bytes(b"{}")
    place = tmp_path / "store" / manifest_key(identity)
    place.unlink()
    plant(place, tmp_path / "secret", kind)
    with pytest.raises(StoreError, match="a link, which is not followed|not a regular file"):
        store.read(manifest_key(identity), 10)
    assert listing(store).rows == []
    store.write(manifest_key(identity), b"new")  # in its place, not through it
    assert not place.is_symlink()
    assert place.read_bytes() == b"new"
    assert (tmp_path / "secret").read_bytes() == b"{}"


@in_a_folder
def test_a_link_in_place_of_an_object_is_replaced_by_the_object(
    store: ObjectStore, pushed: Artifact, tmp_path: Path
) -> None:
    data = FILES["programs/518x518-b1.xml"]
    (tmp_path / "elsewhere").write_bytes(data)
    place = tmp_path / "store" / object_key(sha256_bytes(data))
    place.unlink()
    plant(place, tmp_path / "elsewhere", "link")
    with pytest.raises(StoreError, match="a link, which is not followed here"):
        pull(store, find(store, pushed.identity), tmp_path / "out")
    assert push(store, pushed).sent_bytes == len(data)
    assert not place.is_symlink()


@in_a_folder
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
@pytest.mark.parametrize(
    "name", ["programs/518x518-b1.bin", "manifest.json", "report.md", "verified.json.part"]
)
def test_a_link_planted_in_the_hidden_folder_is_not_written_through(
    store: ObjectStore, tmp_path: Path, name: str, kind: str
) -> None:
    artifact = make(tmp_path / "made", passed=None)
    verify(artifact)
    push(store, artifact)
    entry = find(store, artifact.identity)
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    plant(tmp_path / "out" / f".pulling-{entry.identity}" / name, victim, kind)
    folder = pull(store, entry, tmp_path / "out")
    assert contents(folder) == contents(artifact.folder)
    assert victim.read_bytes() == b"mine"
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


@in_a_folder
@pytest.mark.parametrize("name", ["", "programs"])
def test_a_link_in_place_of_a_hidden_folder_is_not_followed(
    store: ObjectStore, pushed: Artifact, tmp_path: Path, name: str
) -> None:
    entry = find(store, pushed.identity)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plant(tmp_path / "out" / f".pulling-{entry.identity}" / name, elsewhere, "link")
    folder = pull(store, entry, tmp_path / "out")
    assert contents(folder) == contents(pushed.folder)
    assert list(elsewhere.iterdir()) == []


@in_a_folder
def test_a_right_file_behind_a_planted_link_is_fetched_all_the_same(
    store: ObjectStore, pushed: Artifact, tmp_path: Path
) -> None:
    """What is behind the link can change after the pull."""
    entry = find(store, pushed.identity)
    name = "programs/518x518-b1.bin"
    plant(tmp_path / "out" / f".pulling-{entry.identity}" / name, pushed.folder / name, "link")
    assert not (pull(store, entry, tmp_path / "out") / name).is_symlink()


@in_a_folder
def test_a_measurement_planted_in_the_hidden_folder_is_not_taken(
    store: ObjectStore, tmp_path: Path
) -> None:
    artifact = make(tmp_path / "made", passed=None)
    push(store, artifact)
    verify(artifact)
    planted = tmp_path / "out" / f".pulling-{artifact.identity}" / "verified.json"
    planted.parent.mkdir(parents=True)
    shutil.copy(artifact.folder / "verified.json", planted)
    folder = pull(store, find(store, artifact.identity), tmp_path / "out")
    assert not (folder / "verified.json").exists()


@in_a_folder
def test_a_pull_is_on_the_disk_before_it_gets_its_name(
    store: ObjectStore, pushed: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = syncs_and_renames(monkeypatch)
    pull(store, find(store, pushed.identity), tmp_path / "out")
    before, after = events[: events.index("renamed")], events[events.index("renamed") + 1 :]
    names = ("programs", f".pulling-{pushed.identity}")
    assert {*map(os.path.basename, contents(pushed.folder)), *names} <= {*before}
    assert after == ["out"]
