"""Which files in a folder are images, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from depth.errors import InputError
from depth.images.listing import by_extension, counted, list_folder, list_images


def test_files_are_apart_by_their_extensions(tmp_path: Path) -> None:
    images = ["B.JPG", "a/x.Tiff", "a/y.ppm", "a/z.png", "a.webp", "broken.bmp", "clip.gif"]
    others = ["README.md", "a/film.MP4", "b.jpg ", "noext", "notes.txt"]
    for name in [*images, *others, ".hidden.jpg", ".git/x.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if name != "broken.bmp":
            (tmp_path / name).touch()
    (tmp_path / "broken.bmp").symlink_to("nowhere")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "folder.jpg").mkdir()
    found = list_folder(tmp_path)
    assert found.images == list_images(tmp_path) == sorted(tmp_path / name for name in images)
    assert found.others == sorted(tmp_path / name for name in others)
    with pytest.raises(InputError, match="not a folder"):
        list_images(tmp_path / "B.JPG")


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a.dng", "b.mp4", "c"], ".dng 1, .mp4 1 (video), no extension 1"),
        (["a.MOV", "b.mov", "c.txt", "d.mov"], ".mov 3 (video), .txt 1"),
        (["a.jpg ", "b.\x1bx", "c.json\n"], ".\\x1bx 1, '.jpg ' 1, '.json\\n' 1"),
        ([f"a.{i}" for i in range(10)], ".0 1, .1 1, .2 1, .3 1, .4 1, .5 1, .6 1, .7 1, others 2"),
        (["a." + "x" * 50], ".xxxxxxxxxxx... 1"),
    ],
)
def test_the_others_are_counted(names: list[str], text: str) -> None:
    assert counted(by_extension(map(Path, names))) == text
