"""Scenes through programs that are compiled on demand: one scene, windows, and single images."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from depth_anything_3 import config
from depth_anything_3.mono.config import MONO_MODELS
from tests.support import da3 as da3_networks
from tests.support.da3_commands import da3, described, prepare, results
from tests.support.da3_pictures import SIDE, install
from tests.support.da3_views import TINY_MODEL
from tests.support.on_demand import compile_in_this_process
from tests.support.videos import write_video

FLAGS = ("--process-res", SIDE, "--target", "torchscript", "--export-format", "mini_npz")
OURS = ("--model-dir", "model", *FLAGS)
METRIC = "da3metric-large"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder whose programs are kept for all tests."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        patch.setitem(config.MODELS, "da3-small", replace(TINY_MODEL, name="da3-small"))
        metric = replace(da3_networks.TINY_METRIC, name=METRIC)
        patch.setitem(config.MODELS, METRIC, metric)
        patch.setitem(MONO_MODELS, METRIC, metric)
        compile_in_this_process(patch)
        prepare(folder)
        (folder / "metric").mkdir()
        (folder / "metric/config.json").write_text(json.dumps({"model_name": METRIC}))
        save_file(da3_networks.weights(metric), folder / "metric/model.safetensors")
        yield folder


@pytest.fixture(autouse=True)
def place(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shared)
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    return shared


def test_programs_give_what_the_eager_network_gives() -> None:
    flags = ("images", "photos", *OURS)
    first = da3(*flags, "--export-dir", "programs")
    assert first.code == 0, first.err
    assert "compiling trunk for scenes of 3 views" in first.err
    again = da3(*flags, "--export-dir", "programs", "--overwrite")
    assert "compiling" not in again.err, "programs are kept"
    assert da3(*flags, "--export-dir", "eager", "--target", "eager").code == 0
    for name in ("depth", "extrinsics", "intrinsics", "conf"):
        one, two = (results(Path(where))[name] for where in ("programs", "eager"))
        assert np.abs(one - two).max() < 1e-2 * np.abs(two).max(), name
    made = described(Path("programs"))["provenance"]
    assert (made["target"], made["model"]) == ("torchscript", "da3-small")


@pytest.mark.long
def test_an_artifact_is_a_model_too() -> None:
    assert da3("images", "photos", *OURS, "--artifacts", "own").code == 0
    (artifact,) = Path("own").glob("da3-small-torchscript-*")
    by_folder = ("--model-dir", artifact, *FLAGS, "--export-dir", "artifact")
    ended = da3("images", "photos", *by_folder)
    assert ended.code == 0, ended.err
    assert described(Path("artifact"))["provenance"]["artifact"].startswith(artifact.name[-12:])


def test_cameras_from_rays() -> None:
    ended = da3("image", "photos/b.png", *OURS, "--use-ray-pose", "--export-dir", "rays")
    assert ended.code == 0, ended.err
    assert any("ray" in step for step in described(Path("rays"))["provenance"]["steps"])


@pytest.mark.long
def test_a_long_video_goes_through_windows() -> None:
    write_video(Path("long.avi"), 9)
    flags = (*OURS, "--fps", 10, "--most-views", 2, "--export-dir", "long")
    ended = da3("video", "long.avi", *flags, "--window", 4, "--overlap", 2)
    assert ended.code == 0, ended.err
    assert "9 views in 4 windows, all in one space: long" in ended.err
    scenes = sorted(Path("long/windows").iterdir())
    names = [each["name"] for scene in scenes for each in described(scene)["cameras"]]
    assert names == [f"{number:06d}.png" for number in range(9)]
    again = da3("auto", "long.avi", *flags, "--window", 5, "--overwrite")
    assert again.code == 0, again.err
    assert "windows, all in one space" in again.err
    refused = da3("video", "long.avi", *flags, "--window", 4, "--overlap", 4, "--overwrite")
    assert refused.code == 2
    assert "windows of 4 frames that share 4" in refused.err
    assert list(Path("long/windows").iterdir()), "the scene before stays until there is another"


def test_a_model_of_one_image_has_a_lens_given_or_assumed() -> None:
    flags = ("image", "photos/b.png", "--model-dir", "metric", *FLAGS[:-2])
    given = da3(*flags, "--export-format", "ply-mini_npz", "--export-dir", "given", "--fov-deg", 50)
    assert given.code == 0, given.err
    assert "1 view by da3metric-large" in given.err
    assert "depth in metres" in given.err
    assert "assumed" not in given.err
    focal = results(Path("given"))["intrinsics"][0, 0, 0]
    assert focal == pytest.approx(
        results(Path("given"))["depth"].shape[2] / 2 / np.tan(np.pi * 25 / 180)
    )
    assumed = da3(*flags, "--export-dir", "assumed")
    assert assumed.code == 0, assumed.err
    assert "an angle of view of 60 degrees is assumed: give --fov-deg or --focal-px" in assumed.err
    assert described(Path("assumed"))["unit"] is None
    wrong = da3("images", "photos", "--model-dir", "metric", *FLAGS, "--export-dir", "never")
    assert wrong.code == 2
    assert "da3metric-large knows one image at a time, and here are 3" in wrong.line()
    eager = da3(*flags, "--export-dir", "never", "--target", "eager")
    assert "--target eager: da3metric-large runs compiled only" in eager.line()


def test_what_programs_do_not_give_is_eager() -> None:
    flags = ("images", "photos", "--model-dir", "model", "--process-res", SIDE)
    features = ("--export-format", "feat_vis", "--export-feat", "2, 5", "--feat-vis-fps", 7)
    ended = da3(*flags, *features, "--export-dir", "features")
    assert ended.code == 0, ended.err
    assert described(Path("features"))["provenance"]["target"] == "eager"
    pictures = {path.parent.name for path in Path("features/feat_vis").rglob("*.jpg")}
    assert pictures == {"feat_layer_2", "feat_layer_5"}
    refused = da3(*flags, *features, "--target", "torchscript", "--export-dir", "never")
    assert refused.code == 2
    assert "features of blocks: a compiled program has no such outputs" in refused.err
    refused = da3(*flags, "--export-format", "gs_ply", "--export-dir", "never")
    assert (refused.code, "Gaussians" in refused.err) == (2, True)
    assert not Path("never").exists()


def test_a_folder_of_an_unknown_model() -> None:
    Path("unknown").mkdir()
    Path("unknown/config.json").write_text('{"model_name": "da4"}')
    ended = da3("image", "photos/b.png", "--model-dir", "unknown", "--export-dir", "never")
    assert (ended.code, "da4" in ended.line()) == (2, True)
