"""What `list` says of damaged aliases and artifacts, to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest

from depth.artifact.manifest import Artifact
from depth.store.catalogue import find
from depth.store.folder import FolderStore
from depth.store.names import alias_key, manifest_key
from depth.store.objects import ObjectStore
from depth.store.promote import promote
from depth.store.push import push
from tests.depth.store.test_cli import command
from tests.support.stored_artifacts import in_a_folder, make

ALIAS = "vits/cpu/production"
NO_ARTIFACT = "no such artifact; push it again, or promote another artifact"


@pytest.fixture
def promoted(store: ObjectStore, pushed: Artifact) -> Artifact:
    promote(store, find(store, pushed.identity), ALIAS)
    return pushed


def torn(store: ObjectStore, _artifact: Artifact) -> None:
    store.write(alias_key(ALIAS), b'{"identity": ')


def without_manifest(store: ObjectStore, artifact: Artifact) -> None:
    store.remove(manifest_key(artifact.identity))


def with_a_torn_manifest(store: ObjectStore, artifact: Artifact) -> None:
    store.write(manifest_key(artifact.identity), b"{}")


def with_other_figures(store: ObjectStore, artifact: Artifact) -> None:
    """The identity leaves measured figures out, and the alias does not."""
    manifest = json.loads((artifact.folder / "manifest.json").read_bytes())
    manifest["programs"][0]["measured"]["depth"]["mean_rel"] /= 2
    store.write(manifest_key(artifact.identity), json.dumps(manifest).encode())


CASES = pytest.mark.parametrize(
    ("damage", "name", "reason", "whole"),
    [
        (torn, "", "delete it, then promote again", 1),
        (without_manifest, "identity", NO_ARTIFACT, 0),
        (with_a_torn_manifest, "identity", "or push the artifact again from a good copy", 0),
        (with_other_figures, "identity", f"has changed since {ALIAS} was promoted", 1),
    ],
)


@in_a_folder
@CASES
def test_a_damaged_alias_is_listed_with_its_reason(
    store: ObjectStore,
    promoted: Artifact,
    tmp_path: Path,
    damage: Callable[[ObjectStore, Artifact], None],
    name: str,
    reason: str,
    whole: int,
) -> None:
    identity = promoted.identity if name else ""
    damage(store, promoted)
    ended = command("list", "--store", tmp_path / "store")
    assert ended.code == 3
    assert f"damaged: {ALIAS}: " in ended.err
    assert reason in ended.err
    _, *lines = ended.out.splitlines()
    assert len(lines) == whole + 1
    assert lines[-1].split() == [identity[:12] or "-", *"----", "damaged", ALIAS, "-"]

    ended = command("list", "--json", "--store", tmp_path / "store")
    assert ended.code == 3
    told = json.loads(ended.out)
    assert [each["aliases"] for each in told["artifacts"]] == [[]] * whole
    (damaged,) = told["damaged"]
    assert (damaged["identity"], damaged["aliases"]) == (identity or None, [ALIAS])
    assert reason in damaged["reason"]


@in_a_folder
def test_a_whole_store_is_listed_as_json(
    store: ObjectStore, promoted: Artifact, tmp_path: Path
) -> None:
    assert isinstance(store, FolderStore)
    ended = command("list", "--json", "--store", tmp_path / "store")
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert told["damaged"] == []
    (row,) = told["artifacts"]
    assert row.pop("pushed").endswith("+00:00")
    assert row == {
        "name": promoted.folder.name,
        "identity": promoted.identity,
        "target": "openvino",
        "precision": "fp32",
        "sizes": ["518x518"],
        "size_bytes": sum(file.size_bytes for file in promoted.manifest.programs[0].files),
        "state": "verified",
        "aliases": [ALIAS],
    }


@in_a_folder
def test_damage_hides_nothing_else(store: ObjectStore, promoted: Artifact, tmp_path: Path) -> None:
    other = make(tmp_path / "made", precision="bf16")
    push(store, other)
    promote(store, find(store, other.identity), "vits/cpu/before")
    torn(store, promoted)
    told = json.loads(command("list", "--json", "--store", tmp_path / "store").out)
    aliases = {row["identity"]: row["aliases"] for row in told["artifacts"]}
    assert aliases == {promoted.identity: [], other.identity: ["vits/cpu/before"]}
