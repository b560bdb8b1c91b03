"""The commands that make scenes: what they write, what each flag changes, and what is refused."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from depth_anything_3.api import DepthAnything3
from tests.support.da3_commands import SMALL, da3, described, results
from tests.support.da3_pictures import SIDE

NPZ = ("--export-format", "mini_npz")


@pytest.fixture(autouse=True)
def place(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shared)
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    return shared


def made(name: str, *arguments: object, command: str = "images", path: str = "photos") -> Path:
    ended = da3(command, path, *SMALL, *NPZ, "--export-dir", name, *arguments)
    assert ended.code == 0, ended.err
    return Path(name)


def test_images_are_one_scene_with_upstreams_numbers() -> None:
    ended = da3(
        "images", "photos", *SMALL, "--export-dir", "first", "--export-format", "mini_npz-ply"
    )
    assert (ended.code, ended.out.splitlines()) == (
        0,
        ["first/exports/mini_npz/results.npz", "first/points.ply", "first/scene.json"],
    )
    assert re.search(r"3 views by da3-small in \d+ s; depth in a unit of its own: first", ended.err)
    assert [camera["name"] for camera in described(Path("first"))["cameras"]] == [
        "a.PNG",
        "b.png",
        "c.jpg",
    ]
    model = DepthAnything3.from_pretrained("model")
    files = [f"photos/{name}" for name in ("a.PNG", "b.png", "c.jpg")]
    expected = model.inference(files, process_res=SIDE)
    assert np.allclose(results(Path("first"))["depth"], expected.depth, atol=1e-6)
    assert np.allclose(results(Path("first"))["extrinsics"], expected.extrinsics)


def test_image_and_the_default_folder_and_format(place: Path) -> None:
    ended = da3("image", "photos/b.png", *SMALL)
    assert ended.code == 0, ended.err
    first = Path(ended.out.splitlines()[0])
    assert re.fullmatch(r"outputs/outputs_\d{14}", str(first.parents[1]))
    assert {Path(line).name for line in ended.out.splitlines()} >= {"scene.glb", "scene.jpg"}
    assert f"next: python main.py da3 gallery --gallery-dir {place}" in ended.err
    assert described(first.parents[1])["views"] == 1


@pytest.mark.parametrize(
    ("path", "kind"), [("photos", "images"), ("photos/c.jpg", "image")], ids=["folder", "file"]
)
def test_auto_is_the_command_for_what_is_there(path: str, kind: str) -> None:
    ended = da3("auto", path, *SMALL, *NPZ, "--export-dir", f"auto-{kind}")
    assert ended.code == 0, ended.err
    assert f"{Path(path).name}: {kind}" in ended.err
    same = made(f"same-{kind}", command=kind, path=path)
    assert np.array_equal(results(Path(f"auto-{kind}"))["depth"], results(same)["depth"])


CHANGES: list[tuple[Any, ...]] = [
    ("--process-res", 56),
    ("--process-res-method", "lower_bound_crop"),
    ("--use-ray-pose",),
    ("--ref-view-strategy", "middle"),
]


@pytest.mark.parametrize("flags", CHANGES, ids=lambda flags: str(flags[0])[2:])
def test_flags_of_the_scene_change_it(flags: tuple[Any, ...]) -> None:
    plain = Path("plain") if Path("plain").is_dir() else made("plain")
    other = made(f"with{flags[0]}", *flags)
    one, two = results(plain)["extrinsics"], results(other)["extrinsics"]
    assert not np.array_equal(one, two)
    if flags[0] == "--process-res-method":
        assert results(other)["depth"].shape[1:] == (84, 126)


def test_flags_of_the_points() -> None:
    sizes = {}
    for name, flags in {
        "all": ("--conf-thresh-percentile", 0),
        "few": ("--num-max-points", 50),
        "sure": ("--conf-thresh-percentile", 80),
    }.items():
        ended = da3(
            "images",
            "photos",
            *SMALL,
            "--export-dir",
            f"p-{name}",
            "--export-format",
            "ply",
            *flags,
        )
        assert ended.code == 0, ended.err
        head = (Path(f"p-{name}") / "points.ply").read_bytes()[:2000]
        sizes[name] = int(re.findall(rb"element vertex (\d+)", head)[0])
    assert sizes["few"] == 50
    assert sizes["sure"] < sizes["all"]


def test_features_of_blocks_become_pictures() -> None:
    chosen = ("--export-format", "feat_vis", "--export-feat", "1,3", "--feat-vis-fps", 9)
    ended = da3("images", "photos", *SMALL, "--export-dir", "features", *chosen)
    assert ended.code == 0, ended.err
    assert (Path("features") / "feat_vis/feat_layer_3/000002.jpg").is_file()
    assert described(Path("features"))["options"]["fps"] == 9


def test_models_without_gaussians_say_so() -> None:
    chosen = ("--export-format", "gs_ply")
    ended = da3("images", "photos", *SMALL, "--export-dir", "gaussians", *chosen)
    assert ended.code == 2, ended.err
    assert "da3-small gives no Gaussians" in ended.err or "gives no Gaussians" in ended.err
    assert not (Path("gaussians") / "scene.json").exists()


def test_cameras_are_shown_or_not() -> None:
    for name, flags in {"with": (), "without": ("--no-show-cameras",)}.items():
        ended = da3("images", "photos", *SMALL, "--export-dir", f"cam-{name}", *flags)
        assert ended.code == 0, ended.err
    with_cameras, without = (
        (Path(f"cam-{name}") / "scene.glb").stat().st_size for name in ("with", "without")
    )
    assert with_cameras > without


def test_the_extensions_of_images() -> None:
    assert described(made("jpg", "--image-extensions", ".JPG"))["views"] == 1
    ended = da3("images", "photos", *SMALL, "--image-extensions", "webp", "--export-dir", "none")
    assert ended.code == 2
    assert ended.line() == (
        "photos: no image whose name ends in .webp; --image-extensions names others\n"
    )
    assert not Path("none").exists()


def test_a_photo_on_its_side_stands_upright() -> None:
    Path("turned").mkdir(exist_ok=True)
    image = Image.open("photos/b.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save("turned/t.jpg", exif=exif, quality=95)
    folder = made("upright", command="image", path="turned/t.jpg")
    assert results(folder)["depth"].shape == (1, 84, 56)


def test_the_model_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DA3_MODEL_DIR", "model")
    flags = ("--process-res", SIDE, "--target", "eager", "--export-dir", "from-env", *NPZ)
    ended = da3("image", "photos/b.png", *flags)
    assert ended.code == 0, ended.err
    monkeypatch.setenv("DA3_MODEL_DIR", "nowhere/else")
    assert "'nowhere/else': no folder" in da3("image", "photos/b.png", *flags, "--overwrite").line()
    monkeypatch.setenv("DA3_LOG_LEVEL", "LOUD")
    assert "'LOUD' is not one of 'ERROR', 'WARN', 'INFO', 'DEBUG'" in da3("image", "x").err
    monkeypatch.setenv("DA3_LOG_LEVEL", "DEBUG")
    da3("image", "x")
    assert logging.getLogger().level == logging.DEBUG


REFUSED: list[tuple[tuple[Any, ...], str]] = [
    (("--device", "cuda"), "--device cuda: nothing here runs on a GPU; leave it out for the CPU"),
    (("--device", "cuda:1"), "nothing here runs on a GPU"),
    (("--device", "tpu"), "--device tpu: expected auto or cpu"),
    (("--export-format", "obj"), "export format 'obj': expected one or more of npz"),
    (("--export-feat", "5,x"), "--export-feat '5,x': expected numbers of blocks"),
    (("--export-feat", "5"), "--export-feat and the format feat_vis need each other"),
    (("--focal-px", "0"), "focal length 0.0 px: expected a number over 0"),
    (("--overlap", "2"), "--overlap is of windows: give --window too"),
    (("--window", "4"), "--window: the target eager has no windows"),
    (("--window", "4", "--use-backend"), "--window: a backend makes one scene at a time"),
    (("--fov-deg", "50"), "--focal-px and --fov-deg: da3-small finds the lens itself"),
    (("--most-views", "2"), "3 or more views, and one scene takes 2"),
    (("--model-dir", "da4"), "'da4': no folder, no published repository and no model; choose from"),
    (("--export-dir", "photos/b.png"), "photos/b.png: is a file; name a folder"),
    (("--export-dir", "photos"), "photos: has a.PNG already; name another folder"),
    (("--backend-url", "ftp://x", "--use-backend"), "expected http://HOST:PORT"),
]


@pytest.mark.parametrize(
    ("flags", "said"), REFUSED, ids=lambda value: "".join(map(str, value))[:30]
)
def test_what_is_refused_in_one_line(flags: tuple[Any, ...], said: str) -> None:
    ended = da3("images", "photos", *SMALL, "--export-dir", "never", *flags)
    assert ended.code == 2
    assert said in ended.line()
    assert not Path("never").exists()


USAGE: list[tuple[tuple[Any, ...], str]] = [
    (("--process-res-method", "stretch"), "'stretch' is not one of 'upper_bound_resize'"),
    (("--ref-view-strategy", "empty"), "'empty' is not one of 'saddle_balanced'"),
    (("--conf-thresh-percentile", 101), "101.0 is not in the range"),
    (("--num-max-points", 0), "0 is not in the range"),
    (("--feat-vis-fps", 0), "0 is not in the range"),
    (("--process-res", 0), "0 is not in the range"),
    (("--target", "cuda"), "'cuda' is not one of"),
    (("--export-dir", ""), "an empty path"),
]


@pytest.mark.parametrize(("flags", "said"), USAGE, ids=lambda value: str(value[0])[:30])
def test_values_out_of_range(flags: tuple[Any, ...], said: str) -> None:
    ended = da3("images", "photos", *SMALL, "--export-dir", "never", *flags)
    assert (ended.code, said in ended.err) == (2, True), ended.err
    assert not Path("never").exists()


def test_paths_that_are_nothing() -> None:
    Path("void").mkdir(exist_ok=True)
    Path("notes.txt").touch()
    for path, problem in (
        ("nowhere", "is not there"),
        ("void", "has nothing that is known"),
        ("notes.txt", "has nothing that is known"),
    ):
        ended = da3("auto", path, *SMALL)
        assert ended.code == 2
        assert f"{path}: {problem}; expected an image (.png" in ended.line()
    assert da3("image", "notes.txt", *SMALL, "--export-dir", "never").code == 2
    assert da3("images", "nowhere", *SMALL, "--export-dir", "never").code == 2
    assert not Path("never").exists()


def test_weights_that_are_not_there_or_no_weights() -> None:
    Path("bad").mkdir(exist_ok=True)
    Path("bad/config.json").write_text('{"model_name": 7}')
    flags = ("--export-dir", "never", "--target", "eager")
    assert (
        "model_name is no text" in da3("image", "photos/b.png", "--model-dir", "bad", *flags).line()
    )
    Path("bad/config.json").write_text("{")
    ended = da3("image", "photos/b.png", "--model-dir", "bad", *flags)
    assert (ended.code, "cannot be read as a model's description" in ended.line()) == (1, True)
    Path("bad/config.json").write_text('{"model_name": "da3-small"}')
    Path("bad/model.safetensors").write_bytes(b"no weights")
    ended = da3("image", "photos/b.png", "--model-dir", "bad", *flags)
    assert ended.code == 1
    assert "bad/model.safetensors" in ended.err
    assert not Path("never").exists()


def test_a_licence_is_asked_for() -> None:
    ended = da3("image", "photos/b.png", "--model-dir", "depth-anything/DA3-GIANT-1.1")
    assert ended.code == 2
    assert "da3-giant: licence CC-BY-NC-4.0; nothing was downloaded" in ended.line()
    assert "--accept-licence if you accept it" in ended.line()
