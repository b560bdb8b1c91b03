from __future__ import annotations

from pathlib import PurePath

import pytest

from serve.jobs.stems import unique_stems


def png_and_preview(base: str) -> list[str]:
    return [f"{base}.png", f"{base}.preview.png", f"{base}.json"]


@pytest.mark.parametrize(
    ("images", "bases"),
    [
        (["a/b.jpg", "c.png"], ["a/b", "c"]),
        (["x.jpg", "x.png"], ["x.jpg", "x.png"]),
        (["a/x.jpg", "b/x.png"], ["a/x", "b/x"]),
        (["X.jpg", "x.png"], ["X.jpg", "x.png"]),  # the same file on some file systems
        # "x.jpg.png" would be called as the first two now are:
        (["x.jpg", "x.png", "x.jpg.png"], ["x.jpg", "x.png", "x.jpg.png"]),
        (["x.jpg", "x.preview.jpg"], ["x.jpg", "x.preview.jpg"]),
        (["photo.2024.jpg"], ["photo.2024"]),
    ],
)
def test_short_where_possible_and_never_two_the_same(images: list[str], bases: list[str]) -> None:
    found = unique_stems([PurePath(image) for image in images], png_and_preview)
    assert [str(base) for base in found] == bases
    files = [
        str(base.with_name(name)).casefold()
        for base in found
        for name in png_and_preview(base.name)
    ]
    assert len(set(files)) == len(files)


def test_an_image_does_not_take_the_name_of_a_file_of_all_images() -> None:
    images = [PurePath("All.jpg"), PurePath("a/all.jpg"), PurePath("b.jpg")]
    found = unique_stems(images, png_and_preview, reserved=["all.json"])
    assert list(map(str, found)) == ["All.jpg", "a/all", "b"]
