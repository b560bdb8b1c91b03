"""Images are kept apart from what a job writes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Union

import pytest

from depth.errors import InputError
from depth.images.listing import list_images
from serve.engine import Engine
from serve.errors import NoImagesError
from serve.folder.flat.job import run_flat
from serve.folder.flat.pictures import PictureJob
from serve.folder.inputs import check_apart, images_in
from serve.folder.job import run_folder
from serve.folder.manifest import MANIFEST
from serve.folder.request import FolderJob
from serve.jobs.entry import Entry
from serve.jobs.screen import closing
from serve.library import Library
from tests.support.folder_jobs import close_engines, make_engine, write_images

Job = Union[FolderJob, PictureJob]


def bytes_in(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def pictures(images: Path, output: Path) -> PictureJob:
    return PictureJob(images, output, pred_only=False, grayscale=False)


def run(job: Job) -> list[Entry]:
    """What becomes of the images; no program is at hand, so nothing can be made of them."""
    found: list[Entry] = []
    with Engine(Library([]), policy="buckets") as engine:
        if isinstance(job, FolderJob):
            run_folder(engine, job, lambda entry, _: found.append(entry))
        else:
            run_flat(engine, job, lambda entry, _: found.append(entry))
    return found


@pytest.mark.parametrize("make", [FolderJob, pictures])
@pytest.mark.parametrize("spelling", [".", "../in", "link"])
def test_one_folder_for_both_is_refused(
    tmp_path: Path, make: type[FolderJob], spelling: str
) -> None:
    images = tmp_path / "in"
    write_images(images, 2)
    (images / "link").symlink_to(images)
    before = bytes_in(images)
    with pytest.raises(InputError, match="both input and output; name another folder"):
        run(make(images, images / spelling))
    assert bytes_in(images) == before


@pytest.mark.parametrize("make", [FolderJob, pictures])
def test_outputs_inside_the_input_are_no_images(tmp_path: Path, make: type[FolderJob]) -> None:
    images = tmp_path / "in"
    write_images(images, 2)
    write_images(images / "depth" / "more", 2)
    write_images(images / "depth2", 1)
    found = run(make(images, images / "depth"))
    names = {Path(entry.image).name for entry in found}
    assert (len(found), len(names)) == (3, 2)
    assert not [entry for entry in found if "depth/" in entry.image]


def test_an_image_that_an_output_would_replace_is_left(tmp_path: Path) -> None:
    """The images are in a folder of the output folder, and have one of the same name inside."""
    output = tmp_path / "all"
    write_images(output / "in" / "in", 1)
    write_images(output / "in", 1)
    with pytest.raises(InputError, match=r"all/in/0/0000\.png: is an image of the input"):
        run(FolderJob(output / "in", output))
    assert len(run(FolderJob(output / "in", output, formats=("npy",)))) == 2


def test_a_picture_does_not_replace_its_photograph(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 1)
    (image,) = list_images(tmp_path / "in")
    names = tmp_path / "list.txt"
    names.write_bytes(b"\xef\xbb\xbf  " + os.fsencode(image) + b"\t\r\n\r\n")
    for given in (image, names):
        with pytest.raises(InputError, match="is an image of the input"):
            run(pictures(given, image.parent))
        (entry,) = run(pictures(given, tmp_path / "out"))
        assert entry.image == str(image)


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"\xff\xfe", "decode")])
def test_a_list_that_cannot_be_read_is_a_usage_error(
    tmp_path: Path, content: Union[bytes, None], reason: str
) -> None:
    names = tmp_path / "list.txt"
    if content is not None:
        names.write_bytes(content)
    with pytest.raises(InputError, match=f"list.txt: cannot be read as a list .*{reason}"):
        run(pictures(names, tmp_path))


def test_links_to_the_same_place_count_as_that_place(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 1)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (image,) = list_images(tmp_path / "in")
    with pytest.raises(InputError, match="link"):
        check_apart([image], [tmp_path / "link" / "0" / image.name])
    check_apart([image], [tmp_path / "elsewhere" / image.name])
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    assert images_in(tmp_path / "in", circle).images == [image]


OTHERS = "3 other files left out: .dng 1, .mp4 1 (video), no extension 1"


def with_others(folder: Path, output: Path) -> None:
    for name in ("a.dng", "0/film.mp4", "noext", ".hidden"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (output / "0").mkdir(parents=True)
    (output / "0" / "earlier.json").touch()


@pytest.mark.parametrize("make", [FolderJob, pictures])
def test_other_files_are_counted_without_those_of_the_output(
    tmp_path: Path, make: type[FolderJob]
) -> None:
    images = tmp_path / "in"
    write_images(images, 1)
    with_others(images, images / "out")
    with Engine(Library([]), policy="buckets") as engine:
        job: Any = make(images, images / "out")
        run_job: Any = run_folder if make is FolderJob else run_flat
        report = run_job(engine, job, lambda *_: None)
    assert report.left_out == {".dng": 1, ".mp4": 1, "": 1}
    assert closing(report, 2.0) == f"1 failed in 2.0 s; {OTHERS}"
    report.left_out = {".mp4": 1}
    assert closing(report, 2.0).endswith("; 1 other file left out: .mp4 1 (video)")
    report.left_out = {}
    assert closing(report, 2.0) == "1 failed in 2.0 s"


@pytest.mark.parametrize("make", [FolderJob, pictures])
def test_no_images_in_it_names_what_is_there(tmp_path: Path, make: type[FolderJob]) -> None:
    images = tmp_path / "in"
    with_others(images, tmp_path / "out")
    there = r"no images in it, but \.dng 1, \.mp4 1 \(video\), no extension 1; put some there"
    with pytest.raises(NoImagesError, match=there):
        run(make(images, tmp_path / "out"))


def test_the_report_has_what_was_left_out(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 1)
    with_others(tmp_path / "in", tmp_path / "out")
    run(FolderJob(tmp_path / "in", tmp_path / "out"))
    run(FolderJob(tmp_path / "in", tmp_path / "out", dry_run=True))
    lines = [json.loads(text) for text in (tmp_path / "out" / MANIFEST).read_text().splitlines()]
    assert [line["left_out"] for line in lines if "image" not in line] == [
        {".dng": 1, ".mp4": 1, "": 1}
    ]


@pytest.mark.parametrize("beside", [(), ("b.jpg",), ("a.jpg",), ("a.PNG", "a.txt")])
def test_a_single_image_gives_what_its_folder_gives(
    tmp_path: Path, beside: tuple[str, ...]
) -> None:
    write_images(tmp_path / "in", 1)
    image = (tmp_path / "in/0/0000.png").rename(tmp_path / "in/0/a.png")
    for name in beside:
        image.with_name(name).write_bytes(image.read_bytes())
    engine = make_engine()
    found: list[Entry] = []
    run_folder(engine, FolderJob(image.parent, tmp_path / "all"))
    run_folder(engine, FolderJob(image, tmp_path / "one"), lambda entry, _: found.append(entry))
    close_engines()
    stem = "a.png" if len(beside) == 2 or "a.jpg" in beside else "a"
    assert [(entry.image, list(entry.outputs)) for entry in found] == [
        ("a.png", [f"{stem}.png", f"{stem}.json"])
    ]
    one, whole = bytes_in(tmp_path / "one"), bytes_in(tmp_path / "all")
    del one["depth-report.jsonl"]
    assert one.items() <= whole.items()


def test_a_single_image_may_have_any_name_and_is_never_replaced(tmp_path: Path) -> None:
    write_images(tmp_path, 1)
    image = (tmp_path / "0/0000.png").rename(tmp_path / "0/scan.0001")
    with make_engine() as engine:
        run_folder(engine, FolderJob(image, tmp_path / "out"))
        assert set(bytes_in(tmp_path / "out")) == {"scan.png", "scan.json", "depth-report.jsonl"}
        own = image.rename(image.with_name("own.png"))
        with pytest.raises(InputError, match="is an image of the input"):
            run_folder(engine, FolderJob(own, own.parent))
    assert set(bytes_in(own.parent)) == {"own.png"}
