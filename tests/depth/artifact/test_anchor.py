"""The identity of a manifest is compared with the folder's name and with what the caller gives."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from depth.artifact.anchor import expected_digits
from depth.artifact.manifest import Artifact, folder_name, read_artifact, read_artifacts
from depth.errors import ArtifactError, InputError
from tests.support.manifests import made_manifest, written

Place = tuple[Any, ...]  # keys and indices that lead to a value of a manifest


def named(out: Path) -> Artifact:
    """An artifact in a folder with its proper name."""
    made = written(out / "made", made_manifest())
    return read_artifact(made.folder.rename(out / folder_name(made.manifest, made.identity)))


def values(data: Any, place: Place = ()) -> Iterator[Place]:
    """Where each number, text, boolean and null of a manifest is."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        if isinstance(value, (dict, list)):
            yield from values(value, (*place, key))
        else:
            yield (*place, key)


def other(value: Any) -> Any:
    """Another value of the same type."""
    if value is None or isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return value / 2
    return value + "x" if isinstance(value, str) else value * 2 + 1


def edit(folder: Path, place: Place, value: Any) -> None:
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("gate", "passed"), False),
        (("gate", "limits", "depth", "max_rel"), 1e9),
        (("family",), "another"),
        (("checkpoint", "licence"), "MIT"),
        (("checkpoint", "sha256"), "1" * 64),
        (("versions", "openvino"), "2.0"),
        (("outputs", 0, "kind"), "metres"),
        (("programs", 0, "files", 0, "sha256"), "1" * 64),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_an_edited_manifest_is_refused_under_the_name_of_its_folder(
    tmp_path: Path, place: Place, value: Any
) -> None:
    artifact = named(tmp_path)
    edit(artifact.folder, place, value)
    with pytest.raises(ArtifactError, match="the manifest was altered, or this is another art"):
        read_artifact(artifact.folder)
    plain = artifact.folder.rename(tmp_path / "plain")
    assert read_artifact(plain).identity != artifact.identity
    with pytest.raises(ArtifactError, match="the given identity says"):
        read_artifact(plain, artifact.identity)


def test_every_value_but_the_measured_figures_is_in_the_identity(tmp_path: Path) -> None:
    artifact = named(tmp_path)
    path = artifact.folder / "manifest.json"
    kept = json.loads(path.read_text())
    places = [*values(kept)]
    assert len(places) > 40
    for place in places:
        inner: Any = copy.deepcopy(kept)
        for key in place:
            inner = inner[key]
        edit(artifact.folder, place, other(inner))
        if "measured" in place:
            assert read_artifact(artifact.folder).identity == artifact.identity
        else:
            with pytest.raises(ArtifactError):
                read_artifact(artifact.folder)
        path.write_text(json.dumps(kept))


@pytest.mark.parametrize("name", ["demo-openvino-fp32-0123456789a", "demo-0123456789abc", "made"])
def test_a_folder_whose_name_has_no_digits_is_accepted(tmp_path: Path, name: str) -> None:
    artifact = written(tmp_path / name, made_manifest())
    assert expected_digits(artifact.folder) == {}
    assert read_artifact(artifact.folder, artifact.identity[:12]) == artifact


def test_a_given_identity_is_compared_beside_the_name(tmp_path: Path) -> None:
    artifact = named(tmp_path)
    assert read_artifact(artifact.folder, artifact.identity) == artifact
    assert list(expected_digits(artifact.folder, artifact.identity)) == [
        f"the folder's name {artifact.folder.name}",
        "the given identity",
    ]
    last = "0" if artifact.identity[-1] != "0" else "1"
    for wrong in ("0" * 64, artifact.identity[:-1] + last):
        with pytest.raises(ArtifactError, match="the given identity says"):
            read_artifact(artifact.folder, wrong)
    for text in (
        "",
        artifact.identity[:11],
        artifact.identity + "0",
        "ABCDEF012345",
        "0" * 12 + "\n",
    ):
        with pytest.raises(InputError, match="expected its first 12 digits or more"):
            read_artifact(artifact.folder, text)


def test_an_identity_can_be_given_by_the_name_of_a_folder(tmp_path: Path) -> None:
    artifact = named(tmp_path)
    name = artifact.folder.name
    plain = artifact.folder.rename(tmp_path / "plain")
    assert read_artifact(plain, name).identity == artifact.identity
    with pytest.raises(ArtifactError, match="the given identity says 000000000000"):
        read_artifact(plain, "demo-openvino-fp32-000000000000")


def test_several_artifacts_have_an_identity_each(tmp_path: Path) -> None:
    one, other = named(tmp_path / "1"), named(tmp_path / "2")
    folders = [one.folder, other.folder]
    assert read_artifacts(folders) == read_artifacts(folders, [one.identity, other.identity])
    with pytest.raises(InputError, match="--identity: 1 given for 2 artifacts; give one for each"):
        read_artifacts(folders, [one.identity])
    with pytest.raises(ArtifactError, match="2/.*: its manifest has the identity"):
        read_artifacts(folders, [one.identity, "0" * 12])


def test_a_link_counts_by_its_name_and_by_where_it_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = named(tmp_path)
    link, wrong = tmp_path / "latest", tmp_path / "demo-openvino-fp32-000000000000"
    for each in (link, wrong):
        each.symlink_to(artifact.folder)
    assert read_artifact(link) == replace(artifact, folder=link)
    with pytest.raises(ArtifactError, match="the folder's name demo-openvino-fp32-0000"):
        read_artifact(wrong)
    edit(artifact.folder, ("family",), "another")
    monkeypatch.chdir(artifact.folder)
    for folder in (link, Path()):
        with pytest.raises(ArtifactError, match=f"name {artifact.folder.name} says"):
            read_artifact(folder)
