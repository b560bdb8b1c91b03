"""Videos and COLMAP models as views of a scene."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from depth.errors import InputError
from depth.scenes.colmap.undistorted import pinhole_of
from depth_anything.da3.folder import SceneFolder
from depth_anything.da3.sources import Views, colmap_views, kind_of, video_views
from tests.support.colmap_models import POSE, lens, write_binary, write_text
from tests.support.da3_commands import SMALL, da3, described, results
from tests.support.hostile import picture as noise
from tests.support.videos import picture, turned, write_video

SIZE = (48, 64)


@pytest.fixture(autouse=True)
def place(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shared)
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    return shared


def colmap_folder(top: Path, name: str = "OPENCV", sparse: str = "sparse/0") -> Path:
    """Three images below images/, in a folder and not, and their model."""
    names = ["a.png", "left/b.png", "right/b.png"]
    for number, each in enumerate(names):
        path = top / "images" / each
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(*SIZE, seed=number).save(path)
    write_binary(top / sparse, [lens(name, SIZE)], names)
    return top


def views(top: Path, out: Path, subdir: str = "") -> Views:
    return colmap_views(top, subdir, SceneFolder(out, overwrite=False))


def test_a_video_gives_upstreams_frames(tmp_path: Path) -> None:
    """Every n-th frame as input_images/%06d.png."""
    path = write_video(tmp_path / "a.mp4", 20, codec="libx264")
    ended = da3("video", path, *SMALL, "--fps", 3, "--export-dir", tmp_path / "out")
    assert ended.code == 0, ended.err
    frames = sorted((tmp_path / "out/input_images").glob("*.png"))
    assert [each.name for each in frames] == [f"{number:06d}.png" for number in range(7)]
    for number, frame in enumerate(frames):  # 10 frames/s by 3: every third
        found = cv2.imread(str(frame))[..., ::-1].astype(int)
        assert np.abs(found[30::8, 40::8] - picture(3 * number)[30::8, 40::8]).max() < 8
    assert [c["name"] for c in described(tmp_path / "out")["cameras"]] == [f.name for f in frames]
    assert "frames: 20" in ended.err


def test_a_video_again_replaces_its_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", 8)
    flags = (*SMALL, "--export-dir", tmp_path / "out", "--export-format", "mini_npz")
    assert da3("auto", path, *flags, "--fps", 5).code == 0
    assert "name another folder" in da3("auto", path, *flags).line()
    (tmp_path / "out/input_images/mine.png").touch()
    assert da3("auto", path, *flags, "--fps", 2, "--auto-cleanup").code == 0
    assert len(results(tmp_path / "out")["depth"]) == 2
    names = {each.name for each in (tmp_path / "out/input_images").iterdir()}
    assert names == {"000000.png", "000001.png", "inputs.jsonl", "mine.png"}


def test_a_video_from_a_phone(tmp_path: Path) -> None:
    path = turned(write_video(tmp_path / "a.mp4", 1))
    found = video_views(path, 1, SceneFolder(tmp_path / "out", overwrite=False), 9)
    assert cv2.imread(str(found.paths[0])).shape == (64, 48, 3)


def test_too_many_frames_are_refused_before_they_are_written(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", 30)
    ended = da3(
        "video", path, *SMALL, "--fps", 10, "--most-views", 9, "--export-dir", tmp_path / "o"
    )
    assert ended.code == 2
    assert "30 or more views, and one scene takes 9: take fewer with a lower --fps" in ended.err
    assert not (tmp_path / "o").exists()


def test_a_rate_above_the_videos_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_video(tmp_path / "a.avi", 3)
    found = video_views(path, 60, SceneFolder(tmp_path / "out", overwrite=False), 9)
    assert len(found.paths) == 3
    assert "has 10 frames/s, less than --fps 60" in capfd.readouterr().err


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    ended = da3("auto", tmp_path / "a.mp4", *SMALL, "--export-dir", tmp_path / "out")
    assert (ended.code, "a.mp4: no video that can be read" in ended.err) == (2, True)


def test_kinds_of_paths(tmp_path: Path) -> None:
    assert kind_of(colmap_folder(tmp_path / "c")) == "colmap"
    assert kind_of(tmp_path / "c/images") == "images"
    assert kind_of(tmp_path / "c/images/a.png") == "image"
    (tmp_path / "V.MKV").touch()
    assert kind_of(tmp_path / "V.MKV") == "video"


@pytest.mark.parametrize("sparse", ["sparse", "sparse/0", "sparse/best"])
def test_a_colmap_model_gives_cameras_and_straight_images(sparse: str, tmp_path: Path) -> None:
    top = colmap_folder(tmp_path / "c", sparse=sparse)
    found = views(top, tmp_path / "out", "best" if sparse.endswith("best") else "")
    assert found.names == ("0000_a.png", "0001_b.png", "0002_b.png")
    assert found.cameras is not None
    assert np.allclose(found.cameras.extrinsics[:, :, 3], POSE[4:])
    pinhole = pinhole_of(lens("OPENCV", SIZE))
    assert np.allclose(found.cameras.intrinsics, pinhole.matrix)
    for path, name in zip(found.paths, ("a.png", "left/b.png", "right/b.png")):
        source = cv2.imread(str(top / "images" / name))
        assert np.array_equal(cv2.imread(str(path)), pinhole.image(source))
        assert not np.array_equal(cv2.imread(str(path)), source)


def test_images_of_pinhole_cameras_are_read_where_they_are(tmp_path: Path) -> None:
    top = colmap_folder(tmp_path / "c", "PINHOLE")
    found = views(top, tmp_path / "out")
    assert found.paths[0] == top / "images/a.png"
    assert not (tmp_path / "out").exists()


def test_the_command_scales_depth_to_the_model(tmp_path: Path) -> None:
    top = colmap_folder(tmp_path / "c", "SIMPLE_RADIAL")
    write_text(top / "sparse/text", [lens("SIMPLE_RADIAL", SIZE)], ["a.png", "left/b.png"])
    flags = (*SMALL, "--export-format", "mini_npz")
    for name, more in (
        ("to", ()),
        ("free", ("--no-align-to-input-ext-scale",)),
        ("text", ("--sparse-subdir", "text")),
    ):
        ended = da3("colmap", top, *flags, "--export-dir", tmp_path / name, *more)
        assert ended.code == 0, ended.err
    given = results(tmp_path / "to")
    assert np.allclose(given["extrinsics"][:, :, 3], POSE[4:])
    assert len(results(tmp_path / "text")["depth"]) == 2
    steps = described(tmp_path / "to")["provenance"]["steps"]
    assert "align_to_given_cameras" in steps


def test_images_that_are_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    top = colmap_folder(tmp_path / "c", "PINHOLE")
    (top / "images/a.png").unlink()
    assert len(views(top, tmp_path / "out").paths) == 2
    assert "1 of 3 images of the model are not there" in capfd.readouterr().err
    for name in ("left", "right"):
        (top / "images" / name / "b.png").unlink()
    with pytest.raises(InputError, match="none of the 3 images of the model"):
        views(top, tmp_path / "out")


def test_images_of_another_size_than_the_model(tmp_path: Path) -> None:
    top = colmap_folder(tmp_path / "c", "PINHOLE")
    noise(24, 32).save(top / "images/a.png")
    with pytest.raises(InputError, match=r"a\.png: 32x24 px, its camera in the model has 64x48"):
        views(top, tmp_path / "out")


@pytest.mark.parametrize("model_sees", ["stored", "upright"])
def test_an_image_on_its_side_is_as_the_model_saw_it(model_sees: str, tmp_path: Path) -> None:
    """COLMAP ignores the orientation of EXIF; other tools turn images before."""
    top = tmp_path / "c"
    (top / "images").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.kron(np.asarray(noise(6, 8)), np.ones((8, 8, 1), np.uint8))
    Image.fromarray(stored).save(top / "images/a.jpg", exif=exif, quality=100, subsampling=0)
    size = (48, 64) if model_sees == "stored" else (64, 48)
    write_binary(top / "sparse/0", [lens("PINHOLE", size)], ["a.jpg"])
    (path,) = views(top, tmp_path / "out").paths
    expected = stored if model_sees == "stored" else np.rot90(stored, -1)
    found = cv2.imread(str(path))[..., ::-1]
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected)[4::8, 4::8].max() < 30


def test_a_link_that_leads_out_and_a_folder_that_does(tmp_path: Path) -> None:
    top = colmap_folder(tmp_path / "c", "PINHOLE")
    (top / "images/a.png").rename(tmp_path / "secret.png")
    (top / "images/a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError, match=r"a\.png: a link that leads out of"):
        views(top, tmp_path / "out")
    for subdir in ("../..", "/etc", "a/../../b"):
        with pytest.raises(InputError, match="expected a name below sparse/"):
            views(top, tmp_path / "out", subdir)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "sparse").mkdir()
    ended = da3("auto", tmp_path, *SMALL, "--export-dir", tmp_path / "out")
    assert ended.code == 2
    assert "sparse: no COLMAP model: expected cameras and images, as .bin or .txt" in ended.err
