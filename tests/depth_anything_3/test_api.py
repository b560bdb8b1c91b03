"""Upstream's Python API of Depth Anything 3, on a small network."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from depth.errors import CheckpointError, DownloadError, ImageError, InputError
from depth.steps.sky import sky_to_far
from depth_anything_3 import hub
from depth_anything_3.api import DepthAnything3
from depth_anything_3.inputs import network_inputs
from depth_anything_3.mono import config as mono
from tests.support.da3 import TINY_METRIC, TINY_MONO, network, to_upstream, weights

Pixels = npt.NDArray[np.uint8]

UPSTREAMS = {"path": "depth_anything_3.model.da3", "name": "DepthAnything3Net"}


def photo(height: int = 61, width: int = 90, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mono.MONO_MODELS, "da3mono-large", TINY_MONO)
    monkeypatch.setitem(mono.MONO_MODELS, "da3metric-large", TINY_METRIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(
        json.dumps({"model_name": "da3mono-large", "config": {"__object__": UPSTREAMS}})
    )
    save_file(to_upstream(weights()), tmp_path / "model.safetensors")
    return tmp_path


def test_the_published_lines_work(folder: Path) -> None:
    model = DepthAnything3.from_pretrained(str(folder)).to(device="cpu")
    found = model.inference([photo(), photo(seed=1)], process_res=84)
    assert found.depth.shape == found.sky.shape == (2, 56, 84)  # type: ignore[union-attr]
    assert (found.depth.dtype, found.sky.dtype) == (np.float32, np.bool_)  # type: ignore[union-attr]
    assert found.processed_images is not None
    assert found.processed_images.shape == (2, 56, 84, 3)
    assert not found.is_metric
    assert found.aux == {}
    for name in ("conf", "extrinsics", "intrinsics", "gaussians", "scale_factor"):
        assert getattr(found, name) is None


def test_inference_is_its_steps_one_by_one(folder: Path) -> None:
    images = [photo(), photo(seed=1)]
    found = DepthAnything3.from_pretrained(folder).inference(images, process_res=84)
    inputs = network_inputs(images, 84, "upper_bound_resize")
    depth, sky = (m.numpy() for m in network()(torch.from_numpy(inputs)))
    assert np.allclose(found.depth, sky_to_far(depth, sky, mono.FAR), rtol=1e-5)
    assert np.array_equal(found.sky, sky >= 0.5)
    small = cv2.resize(images[0], (84, 57), interpolation=cv2.INTER_AREA)
    small = cv2.resize(small, (84, 56), interpolation=cv2.INTER_AREA)
    difference = small.astype(int) - found.processed_images[0]  # type: ignore[index]
    assert difference.min() >= 0  # cut off, not rounded
    assert difference.max() <= 1


def test_one_quantile_for_all_images_of_a_call(folder: Path) -> None:
    model = DepthAnything3.from_pretrained(folder)
    images = [photo(), (photo(seed=1) // 4).astype(np.uint8)]
    both = model.inference(images, process_res=84)
    far = {float(np.max(d[s])) for d, s in zip(both.depth, both.sky) if s.any()}  # type: ignore[arg-type]
    assert len(far) == 1


def test_images_are_paths_arrays_and_pictures(folder: Path) -> None:
    rgb = photo()
    path = folder / "a.png"
    Image.fromarray(rgb).save(path)
    kinds: list[Any] = [rgb, Image.fromarray(rgb), str(path), path]
    found = [network_inputs([kind], 84, "upper_bound_resize") for kind in kinds]
    assert all(np.array_equal(found[0], other) for other in found)
    gray = rgb[..., 0]
    wide = network_inputs([gray], 84, "upper_bound_resize")
    assert np.array_equal(wide, network_inputs([np.dstack([gray] * 3)], 84, "upper_bound_resize"))


@pytest.mark.parametrize(
    ("method", "shape"),
    [
        ("upper_bound_resize", (56, 84)),
        ("upper_bound_crop", (56, 84)),
        ("lower_bound_resize", (84, 126)),
        ("lower_bound_crop", (84, 112)),
    ],
)
def test_the_four_methods(method: str, shape: tuple[int, int]) -> None:
    assert network_inputs([photo()], 84, method).shape == (1, 3, *shape)


def test_images_of_several_sizes_are_cropped(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = network_inputs([photo(), photo(90, 60)], 84, "upper_bound_resize")
    assert found.shape == (2, 3, 56, 56)
    assert "cropped around their centres to 56x56 px" in caplog.text
    alone = network_inputs([photo()], 84, "upper_bound_resize")
    assert np.array_equal(found[:1], alone[..., 14:70])


def test_threads_do_not_disturb_each_other(folder: Path) -> None:
    model = DepthAnything3.from_pretrained(folder)
    images = [photo(40 + 9 * i, 90 - 5 * i, i) for i in range(6)]
    alone = [model.inference([image], process_res=84).depth for image in images]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda i: model.inference([i], process_res=84).depth, images))
    assert all(np.allclose(a, b, rtol=1e-5) for a, b in zip(alone, together))


def test_a_saved_model_loads_again(folder: Path) -> None:
    model = DepthAnything3.from_pretrained(folder)
    again = DepthAnything3("da3metric-large")
    again.load_state_dict({"epoch": 3, "state_dict": model.state_dict()})  # as trainers save
    with pytest.raises(CheckpointError, match="keys start with x; expected"):
        again.load_state_dict({"model": {"x": torch.zeros(1)}})
    image = [photo()]
    assert np.array_equal(
        model.inference(image, process_res=84).depth, again.inference(image, process_res=84).depth
    )


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(InputError, match="no model 'da4'; choose from da3mono-large, da3metric"):
        DepthAnything3(model_name="da4")


@pytest.mark.parametrize(
    "options",
    [
        {"extrinsics": np.eye(4)[None]},
        {"infer_gs": True},
        {"use_ray_pose": True},
        {"export_feat_layers": [3]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_unsupported_arguments_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"^{next(iter(options))}: not done for da3mono-large"):
        DepthAnything3("da3mono-large").inference([photo()], process_res=84, **options)


@pytest.mark.parametrize(
    ("image", "method", "error", "text"),
    [
        ([], "upper_bound_resize", InputError, "no images"),
        ([photo()], "stretch", InputError, "'stretch': choose from upper_bound_resize, upper"),
        ([3], "upper_bound_resize", InputError, "an image is a int: expected a path"),
        (["/nothing.png"], "upper_bound_resize", ImageError, "nothing.png: cannot be read"),
        ([np.zeros((3, 3, 7))], "upper_bound_resize", ImageError, "an image: cannot be read"),
        ([photo(10, 90)], "upper_bound_crop", InputError, "height 0 px"),
    ],
)
def test_bad_input_is_refused(image: Any, method: str, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        network_inputs(image, 84, method)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "holds a list"),
        ('{"model_name": 3}', "model_name is 3, expected a text"),
        ("{", "not a readable config.json"),
        ("{}", "model_name is None, expected a text"),
        ('{"model_name": "da3mono-large", "a": [{"__object__": {"path": "os"}}]}', "no class of"),
        (" " * (1 << 20) + "{}", "at most 1048576 bytes"),
    ],
)
def test_a_config_is_untrusted_text(folder: Path, text: str, expected: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=expected):
        DepthAnything3.from_pretrained(folder)


def test_a_folder_without_files_says_which(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model.safetensors: no such file"):
        DepthAnything3.from_pretrained(folder)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match="config.json: not a readable"):
        DepthAnything3.from_pretrained(folder)


def test_a_published_repository_is_fetched_at_its_revision_and_compared(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(repository: str, name: str, **options: Any) -> str:
        asked.append((repository, name, options["revision"], options["local_files_only"]))
        return str(folder / name)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    repository = "depth-anything/DA3MONO-LARGE"
    with pytest.raises(DownloadError, match="the published depth-anything/DA3MONO-LARGE has 7a799"):
        DepthAnything3.from_pretrained(repository, local_files_only=True)
    assert asked[1] == (
        repository,
        "model.safetensors",
        "f465978e618db8cc79c83b8bbf24964857db1875",
        True,
    )
    assert DepthAnything3.from_pretrained(repository, revision="main").model_name == "da3mono-large"
    assert DepthAnything3.from_pretrained("somebody/fine-tuned").model_name == "da3mono-large"


def test_a_failed_download_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise OSError("404 not found\nmore")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(
        DownloadError, match="no such folder, and the hub does not give config.json"
    ):
        hub.downloaded("nobody/nothing", ["config.json"], None, {})


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_what_is_no_file_is_refused_without_waiting(folder: Path, kind: str) -> None:
    config, image = folder / "config.json", folder / "image.png"
    config.unlink(missing_ok=True)
    for path in (config, image):
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(kind)
    with pytest.raises(CheckpointError, match="not a readable config.json: .*not a regular file"):
        DepthAnything3.from_pretrained(folder)
    with pytest.raises(ImageError, match="image.png: cannot be read: .*not a regular file"):
        network_inputs([image], 504, "upper_bound_resize")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_over_the_limit_of_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (20_000, 5_001)).save(tmp_path / "large.png")
    with pytest.raises(ImageError, match="20000x5001 px, over 100000000 pixels"):
        network_inputs([tmp_path / "large.png"], 504, "upper_bound_resize")
