"""The files of an artifact: none is read from elsewhere, and none that is altered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from depth.artifact.manifest import Artifact, read_artifact
from depth.errors import ArtifactError
from tests.depth.artifact.test_artifact import FILES, changed, written


def with_path(folder: Path, path: str) -> Path:
    def change(manifest: Any) -> None:
        manifest["programs"][0]["files"][0]["path"] = path

    return written(folder, changed(change))


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "programs/../../secret",
        "programs/../programs/518x686-b1.xml",
        "/etc/hostname",
        "programs\\518x686-b1.xml",
        "..\\secret",
        "",
        ".",
        "programs/..",
    ],
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_bytes(FILES["518x686-b1.xml"])
    with pytest.raises(ArtifactError, match="leads out of the folder; refused"):
        read_artifact(with_path(tmp_path / "a", path))


@pytest.mark.parametrize("path", ["programs/a\0b", "programs/loop", "programs"])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, path: str) -> None:
    folder = with_path(tmp_path / "a", path)
    (folder / "programs/loop").symlink_to("loop")
    with pytest.raises(ArtifactError, match="is not usable|missing; compile or copy"):
        read_artifact(folder)


def test_a_link_out_of_the_folder_is_refused_and_a_link_inside_is_read(tmp_path: Path) -> None:
    data = FILES["518x686-b1.xml"]
    (tmp_path / "secret").write_bytes(data)
    folder = written(tmp_path / "a")
    program = folder / "programs/518x686-b1.xml"
    program.unlink()
    program.symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactError, match="leads out of the folder; refused"):
        read_artifact(folder)
    (folder / "inside").write_bytes(data)
    program.unlink()
    program.symlink_to("../inside")
    artifact = read_artifact(folder)
    assert bytes(artifact.open_files(artifact.manifest.programs[0].files)[0]) == data


def test_an_artifact_reached_through_a_link_is_read(tmp_path: Path) -> None:
    written(tmp_path / "a")
    (tmp_path / "latest").symlink_to("a")
    assert read_artifact(tmp_path / "latest").identity == read_artifact(tmp_path / "a").identity


def opened_first(artifact: Artifact) -> bytes:
    return bytes(artifact.open_files(artifact.manifest.programs[0].files)[0])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "a")
    artifact = read_artifact(folder)
    (folder / "programs/518x686-b1.xml").unlink()
    with pytest.raises(ArtifactError, match="518x686-b1.xml: missing; compile or copy"):
        read_artifact(folder)
    with pytest.raises(ArtifactError, match="cannot be read .*; compile again"):
        opened_first(artifact)


@pytest.mark.parametrize("data", [b"", b"<net>a</net>", b"<net>a</net>\n\n"])
def test_a_file_of_another_size_is_refused(tmp_path: Path, data: bytes) -> None:
    folder = written(tmp_path / "a")
    artifact = read_artifact(folder)
    (folder / "programs/518x686-b1.xml").write_bytes(data)
    with pytest.raises(ArtifactError, match=f"{len(data)} bytes, the manifest says 13; compile or"):
        read_artifact(folder)
    with pytest.raises(ArtifactError, match="does not have the 13 bytes"):
        opened_first(artifact)


def test_altered_bytes_are_not_handed_out(tmp_path: Path) -> None:
    folder = written(tmp_path / "a")
    (folder / "programs/518x686-b1.xml").write_bytes(b"<net>b</net>\n")
    with pytest.raises(ArtifactError, match="the manifest says .*damaged or altered: delete "):
        opened_first(read_artifact(folder))


def test_what_was_hashed_is_what_is_handed_out(tmp_path: Path) -> None:
    """Altered or cut short afterwards, a file changes nothing, and ends no process with SIGBUS."""
    folder = written(tmp_path / "a")
    artifact = read_artifact(folder)
    path = folder / "programs/518x686-b1.xml"
    view = artifact.open_files(artifact.manifest.programs[0].files)[0]
    with path.open("r+b") as file:
        file.write(b"<bad>")
    assert bytes(view) == FILES["518x686-b1.xml"]
    path.write_bytes(b"")
    assert bytes(view) == FILES["518x686-b1.xml"]


def test_a_pipe_in_place_of_a_program_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "a")
    artifact = read_artifact(folder)
    path = folder / "programs/518x686-b1.xml"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ArtifactError, match="missing; compile or copy"):
        read_artifact(folder)
    with pytest.raises(ArtifactError, match="cannot be read .*not a regular file"):
        opened_first(artifact)
