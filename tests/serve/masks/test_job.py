"""A folder of images becomes a folder of masks, by the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from depth.errors import InputError
from depth.family import METRES
from depth.files import sha256_file
from depth.maps.files import write_result
from depth.maps.result import Map
from depth.masks.rules import DepthRules
from serve.__main__ import main as serve_main
from serve.engine import Engine
from serve.errors import NoImagesError
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.library import Library
from serve.masks.depths import StoredDepth
from serve.masks.job import run_masks
from serve.masks.report import REPORT
from serve.masks.request import MaskJob
from serve.shapes import BUCKETS
from tests.support.commands import ended
from tests.support.depth_samples import ramp, result
from tests.support.fresh_python import run_python
from tests.support.hostile import encoded, picture
from tests.support.mask_artifacts import altered, mask_artifact
from tests.support.mask_jobs import H, W, depth_for, lines, mask, masks_, photos
from tests.support.programs import make_artifact


def test_the_farthest_fifth_of_every_image_is_masked(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in"), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    done = masks_("--images", images, "-o", out, "--depth", depth, "--farthest", "20%")
    assert done.code == 0, done.err
    assert sorted(done.out.split()) == [str(out / "a/b.jpg.png"), str(out / "c.png.png")]
    assert f"to look: {out / 'index.html'}" in done.err
    for name in ("a/b.jpg", "c.png"):
        found = mask(out / f"{name}.png")
        assert found.shape == (H, W)
        assert 0.15 < (found == 0).mean() < 0.25
        assert (found[:40] == 255).all()
        line = lines(out)[name]
        assert line["masked"] == pytest.approx((found == 0).mean(), abs=1e-5)
        assert line["sources"] == {"quantile": line["masked"]}
    page = (out / "index.html").read_text("utf-8")
    assert '<img src=".previews/a/b.jpg.jpg"' in page
    assert "% masked</span>, quantile" in page
    assert (out / ".previews/c.png.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_sources_are_joined_and_counted(tmp_path: Path) -> None:
    images = tmp_path / "in"
    images.mkdir()
    pixels = np.full((H, W, 3), 114, np.uint8)
    pixels[:30, :40] = (255, 0, 0)  # red, RGB
    Image.fromarray(pixels).save(images / "a.png")
    sky = Map(ramp(12, 16, 0, 1), "sky")
    depth = depth_for(tmp_path / "depth", images, METRES, sky=sky)
    artifact, out = mask_artifact(tmp_path), tmp_path / "out"
    arguments = ("-i", images, "-o", out, "--depth", depth, "--far", "7", "--near", "1.5")
    done = masks_(*arguments, "--sky", "--artifact", artifact.folder, "--class", "red")
    assert done.code == 0, done.err
    line = lines(out)["a.png"]
    assert list(line["sources"]) == ["range", "sky", "instances"]
    assert line["instances"] == {"red": line["instances"]["red"]}
    found = mask(out / "a.png.png") == 0
    assert found[5, 5]
    assert found[-1].all()
    assert max(line["sources"].values()) <= line["masked"] <= sum(line["sources"].values()) + 1e-5
    assert "warning: more than 50 % is masked of a.png" in done.err
    assert 'class="much"' in (out / "index.html").read_text("utf-8")


def test_an_image_without_anything_gets_a_white_mask(tmp_path: Path) -> None:
    images, out = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    for name in ("a.png", "c.png"):
        Image.new("RGB", (W, H), (114, 114, 114)).save(images / name)
    artifact = mask_artifact(tmp_path)
    done = masks_("-i", images, "-o", out, "--artifact", artifact.folder, "--class", "green")
    assert done.code == 0, done.err
    for name in ("a.png", "c.png"):
        assert (mask(out / f"{name}.png") == 255).all()
        assert lines(out)[name]["instances"] == {}
    assert "warning" not in done.err


@pytest.mark.parametrize("upright", [False, True])
def test_a_mask_has_the_pixels_of_the_file_or_of_the_upright_image(
    upright: bool, tmp_path: Path
) -> None:
    images, out = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown after a quarter turn clockwise
    (images / "a.jpg").write_bytes(encoded(picture(H, W), "JPEG", exif=exif))
    depth = depth_for(tmp_path / "depth", images)
    arguments = ("-i", images, "-o", out, "--depth", depth, "--farthest", "20")
    assert masks_(*arguments, *["--upright"] * upright).code == 0
    found = mask(out / "a.jpg.png") == 0
    if upright:
        assert found.shape == (W, H)
        assert found[-1].all()
    else:
        assert found.shape == (H, W)
        assert found[:, -1].all()  # the upright image's last row


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("colmap", "a/b.jpg.png"),
        ("metashape", "a/b_mask.png"),
        ("realitycapture", "a/b.jpg.mask.png"),
        ("odm", "a/b_mask.png"),
        ("nerfstudio", "a/b.png"),
    ],
)
def test_every_layout_mirrors_the_tree(layout: str, name: str, tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in", ("a/b.jpg", "b.jpg")), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    done = masks_(
        *("-i", images, "-o", out, "--depth", depth, "--nearest", "10", "--mask-layout", layout),
        *("--no-preview", "--invert"),
    )
    assert done.code == 0, done.err
    assert (mask(out / name) == 255).mean() == pytest.approx(0.1, abs=0.05)
    there = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert there == {name, name[2:], REPORT}


def test_masks_inside_the_folder_of_images_are_no_images(tmp_path: Path) -> None:
    images = photos(tmp_path / "in")
    depth = depth_for(tmp_path / "depth", images)
    arguments = ("-i", images, "-o", images / "masks", "--depth", depth, "--farthest", "20")
    assert "2 done" in masks_(*arguments).err
    assert "2 already there" in masks_(*arguments).err


def test_each_failure_names_its_image_and_the_others_are_done(tmp_path: Path) -> None:
    images = photos(tmp_path / "in", ("a.jpg", "b.png", "c.png"))
    depth, out = depth_for(tmp_path / "depth", images), tmp_path / "out"
    (images / "a.jpg").write_bytes(b"no image")
    (depth / "b.json").unlink()
    done = masks_("-i", images, "-o", out, "--depth", depth, "--farthest", "20")
    assert done.code == 3
    assert "failed: a.jpg: " in done.err
    assert f"failed: b.png: no depth of b.png in {depth}" in done.err
    assert f"reasons are in {out / REPORT}" in done.err
    assert lines(out)["a.jpg"]["status"] == "failed"
    assert "2 images failed" in (out / "index.html").read_text("utf-8")
    assert (out / "c.png.png").exists()


def test_depth_of_images_of_one_name_is_found_by_their_bytes(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in", ("x.jpg", "x.png")), tmp_path / "out"
    depth = tmp_path / "depth"
    for name in ("x.jpg", "x.png"):  # as a folder job calls them where they collide
        found = result(np.ascontiguousarray(ramp(12, 16, 1, 9)[::-1]))
        write_result(found, depth / name, ["npy"], {"sha256": sha256_file(images / name)})
    done = masks_("-i", images, "-o", out, "--depth", depth, "--farthest", "20")
    assert done.code == 0, done.err
    damaged = depth / "x.png.npy"
    damaged.write_bytes(damaged.read_bytes()[:-4] + b"abcd")
    again = masks_("-i", images, "-o", out, "--depth", depth, "--farthest", "30")
    assert again.code == 3
    assert "x.png.npy has other bytes than its .json says" in again.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to mask: give --artifact, or --depth with"),
        (("--sky",), "need --depth"),
        (("--class", "red"), "--class and --confidence need --artifact"),
        (("--depth", "nowhere", "--sky"), "nowhere: no folder of depth files"),
        (("--depth", ".", "--farthest", "much"), "expected a share in percent"),
        (("--depth", ".", "--sky", "--dilate", "3"), "expected 0 to 2 percent"),
        (("--depth", ".", "--near", "3", "--far", "2"), "is not below --far"),
        (("--depth", ".", "--near", "3", "--sky-threshold", "0.5"), "0.5: give --sky too"),
    ],
)
def test_usage(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    images = photos(tmp_path / "in")
    found = masks_("-i", images, "-o", tmp_path / "out", *arguments)
    assert found.code == 2
    assert said in found.line()
    assert not (tmp_path / "out").exists()


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in"), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    done = masks_("-i", images, "-o", out, "--depth", depth, "--sky", "--dry-run")
    assert done.code == 0
    assert "to do: c.png: no mask of these settings yet" in done.out
    assert not out.exists()


def test_folders_without_images_and_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoImagesError, match="no images in it"):
        run_masks(job_of(tmp_path / "empty", tmp_path))
    image = photos(tmp_path / "in", ("a.png",)) / "a.png"
    with pytest.raises(InputError, match="a file; --images names a folder"):
        run_masks(job_of(image, tmp_path))


def job_of(images: Path, scratch: Path) -> MaskJob:
    stored = scratch / "stored"
    stored.mkdir(exist_ok=True)
    return MaskJob(images, scratch / "out", rules=DepthRules(sky=True), depth=StoredDepth(stored))


def test_the_first_failure_can_end_the_job(tmp_path: Path) -> None:
    names = tuple(f"{i}.png" for i in range(12))
    job = replace(job_of(photos(tmp_path / "in", names), tmp_path), fail_fast=True)
    report = run_masks(job)
    assert 1 <= report.counts["failed"] < 12
    assert report.stopped == "a failure"
    assert report.left == 12 - report.counts["failed"]


def test_a_page_of_another_program_stays(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in"), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    out.mkdir()
    (out / "index.html").write_text("<html>mine", "utf-8")
    done = masks_("-i", images, "-o", out, "--depth", depth, "--farthest", "20")
    assert done.code == 0
    assert (out / "index.html").read_text("utf-8") == "<html>mine"


def test_serve_has_the_same_command(tmp_path: Path) -> None:
    found = ended(serve_main, "python -m serve", "masks", "-i", tmp_path, "-o", tmp_path)
    assert "nothing to mask" in found.line()


def test_the_command_loads_no_torch(tmp_path: Path) -> None:
    images, artifact = photos(tmp_path / "in", ("a.png",)), mask_artifact(tmp_path)
    done = run_python(
        "-c",
        "import sys\n"
        "from depth_anything.cli import main\n"
        "try:\n    main('main.py')\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules",
        *("masks", "-i", str(images), "-o", str(tmp_path / "out")),
        *("--artifact", str(artifact.folder)),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/a.png.png").exists()


def test_depth_is_made_on_the_way_as_the_folder_job_makes_it(tmp_path: Path) -> None:
    images, out, artifact = photos(tmp_path / "in"), tmp_path / "out", make_artifact(tmp_path)
    stored = tmp_path / "depth"
    with Engine(Library([artifact]), BUCKETS) as engine:
        run_folder(engine, FolderJob(images, stored, formats=["npy"]))
    arguments = ("-i", images, "--farthest", "25", "--no-preview", "-o")
    assert masks_(*arguments, tmp_path / "two steps", "--depth", stored).code == 0
    for fate in ("2 done", "2 already there"):
        done = masks_(*arguments, out, "--depth-artifact", artifact.folder)
        assert fate in done.err
    for name in ("a/b.jpg.png", "c.png.png"):
        found = (out / name).read_bytes()
        assert found == (tmp_path / "two steps" / name).read_bytes()
        assert 0.2 < (mask(out / name) == 0).mean() < 0.6  # equal depths go together
    both = masks_(*arguments, out, "--depth-artifact", artifact.folder, "--depth", stored)
    assert both.line() == "--depth and --depth-artifact: give one of them\n"
    wrong = masks_(*arguments, out, "--depth-artifact", mask_artifact(tmp_path).folder)
    assert "makes masks of instances, and no depth" in wrong.line()
    instances = ("--artifact", mask_artifact(tmp_path / "masks").folder)
    unused = masks_("-i", images, "-o", out, *instances, "--depth", stored)
    assert "nothing is masked by depth; give --near" in unused.line()


def test_depth_of_a_failed_artifact_is_taken_if_it_is_asked_for(tmp_path: Path) -> None:
    images = photos(tmp_path / "in", ("a.png",))
    artifact = altered(make_artifact(tmp_path), lambda data: data["gate"].update(passed=False))
    arguments = ("-i", images, "-o", tmp_path / "out", "--farthest", "25", "--depth-artifact")
    refused = masks_(*arguments, artifact.folder)
    assert "give --allow-failed-parity" in refused.line()
    assert masks_(*arguments, artifact.folder, "--allow-failed-parity").code == 0
