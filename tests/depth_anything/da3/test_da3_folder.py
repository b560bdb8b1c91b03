"""The folder of a scene: only our own files are ever replaced."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from depth.errors import InputError
from depth.scenes.export import export_scene
from depth_anything.da3.folder import SceneFolder, default_folder
from tests.support.scene_samples import small

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A folder with a scene, an input image, and two files of somebody else's."""
    folder = tmp_path / "out"
    made = SceneFolder(folder, overwrite=False)
    made.add_input("000000.png", PIXELS)
    export_scene(small(), folder, ["mini_npz", "depth_vis", "ply"])
    (folder / "notes.txt").write_text("mine")
    (folder / "depth_vis" / "mine.jpg").write_text("mine")
    return folder


def test_an_input_image_is_the_same_again(tmp_path: Path) -> None:
    import cv2

    path = SceneFolder(tmp_path / "new", overwrite=False).add_input("000000.png", PIXELS)
    assert path == tmp_path / "new/input_images/000000.png"
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], PIXELS)


def test_a_used_folder_is_refused_and_nothing_is_lost(used: Path) -> None:
    before = files(used)
    with pytest.raises(
        InputError, match="has depth_vis already; name another folder, or give --ov"
    ):
        SceneFolder(used, overwrite=False)
    assert files(used) == before
    assert not SceneFolder(used.parent / "empty", overwrite=False).path.exists()


def test_overwriting_removes_what_is_listed_and_nothing_else(used: Path) -> None:
    folder = SceneFolder(used, overwrite=True)
    folder.remove_inputs()
    assert not (used / "input_images").exists()
    folder.remove_scene()
    assert files(used) == {"notes.txt", "depth_vis/mine.jpg"}
    assert not (used / "exports").exists(), "empty folders go"


def test_a_file_that_was_changed_stays(used: Path) -> None:
    for name in ("points.ply", "input_images/000000.png"):
        before = (used / name).read_bytes()
        (used / name).write_bytes(b"edited")
        with pytest.raises(InputError, match=f"{name}: was changed since it was written"):
            SceneFolder(used, overwrite=True)
        (used / name).write_bytes(before)
    (used / "points.ply").unlink()
    SceneFolder(used, overwrite=True).remove_scene()  # a file that is gone is no reason


def test_links_are_never_followed(used: Path) -> None:
    other = used.parent / "other"
    other.mkdir()
    (used / "points.ply").rename(other / "points.ply")
    (used / "points.ply").symlink_to(other / "points.ply")
    with pytest.raises(InputError, match=r"points\.ply: was changed"):
        SceneFolder(used, overwrite=True)
    (used / "points.ply").unlink()
    (used / "exports").rename(other / "exports")
    (used / "exports").symlink_to(other / "exports")
    with pytest.raises(InputError, match=r"results\.npz: was changed"):
        SceneFolder(used, overwrite=True)
    assert (other / "exports/mini_npz/results.npz").is_file()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"files": []}',
        '{"files": {"a": 1}}',
        '{"files": {"a": {"sha256": 5}}}',
        '{"files": {"../a": {"sha256": "0"}}}',
        '{"files": {"/etc/passwd": {"sha256": "0"}}}',
        '{"files": {"a/../../b": {"sha256": "0"}}}',
        '{"files": {"": {"sha256": "0"}}}',
    ],
)
def test_a_description_that_is_none_of_ours(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "scene.json").write_text(text)
    with pytest.raises(InputError, match="scene.json: cannot be read as a list of files"):
        SceneFolder(tmp_path, overwrite=True)
    assert files(tmp_path) == {"a", "scene.json"}


@pytest.mark.parametrize(
    "line", ["{", '{"name": "../../a", "sha256": "0"}', '{"name": "a"}', "[1]"]
)
def test_a_list_of_inputs_that_is_none_of_ours(line: str, tmp_path: Path) -> None:
    (tmp_path / "input_images").mkdir()
    (tmp_path / "input_images/inputs.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=r"inputs\.jsonl: cannot be read as a list of files"):
        SceneFolder(tmp_path, overwrite=True)


def test_a_killed_command_leaves_only_listed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list has a file before the file is there, so the next command can remove it."""
    folder = SceneFolder(tmp_path / "out", overwrite=False)
    folder.add_input("000000.png", PIXELS)

    def killed(path: Path, data: bytes) -> None:
        path.write_bytes(data)
        raise KeyboardInterrupt

    monkeypatch.setattr("depth_anything.da3.folder.write_whole", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.add_input("000001.png", PIXELS)
    SceneFolder(folder.path, overwrite=True).remove_inputs()
    assert files(folder.path) == set()


def test_an_input_never_replaces_a_file(tmp_path: Path) -> None:
    folder = SceneFolder(tmp_path / "out", overwrite=False)
    folder.add_input("000000.png", PIXELS)
    with pytest.raises(InputError, match="is there already"):
        folder.add_input("000000.png", PIXELS)


def test_the_default_folder_has_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = default_folder(1_700_000_000.0)
    assert re.fullmatch(r"outputs/outputs_2023\d{10}", str(first))
    first.mkdir(parents=True)
    assert str(default_folder(1_700_000_000.0)) == f"{first}_2"


def test_a_name_with_odd_bytes_is_listed_as_it_is(tmp_path: Path) -> None:
    folder = SceneFolder(tmp_path / "out", overwrite=False)
    name = os.fsdecode("ü b.png".encode())
    folder.add_input(name, PIXELS)
    (line,) = (folder.path / "input_images/inputs.jsonl").read_text().splitlines()
    assert json.loads(line)["name"] == name
    SceneFolder(folder.path, overwrite=True).remove_inputs()
    assert files(folder.path) == set()
