"""Upstream's Python API on a small network of any number of views."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth.errors import CheckpointError, InputError
from depth.steps.cameras import normalised
from depth.weights.registry import PublishedFile
from depth_anything_3 import api
from depth_anything_3.anyview.stages import views_of
from depth_anything_3.api import DepthAnything3
from depth_anything_3.inputs import network_inputs, placed_inputs
from tests.support.da3_pictures import NESTED, SIDE, cameras, install, model, pictures, saved
from tests.support.da3_views import network

METHODS = ("upper_bound_resize", "upper_bound_crop", "lower_bound_resize", "lower_bound_crop")
# Of upstream at commit 2c21ea8; its {} for export_kwargs is shared by all calls.
ARGUMENTS = {
    "extrinsics": None,
    "intrinsics": None,
    "align_to_input_ext_scale": True,
    "infer_gs": False,
    "use_ray_pose": False,
    "ref_view_strategy": "saddle_balanced",
    "render_exts": None,
    "render_ixts": None,
    "render_hw": None,
    "process_res": 504,
    "process_res_method": "upper_bound_resize",
    "export_dir": None,
    "export_format": "mini_npz",
    "export_feat_layers": None,
    "conf_thresh_percentile": 40.0,
    "num_max_points": 1_000_000,
    "show_cameras": True,
    "feat_vis_fps": 15,
    "export_kwargs": None,
}


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DepthAnything3:
    """Not to be written to."""
    return model(tmp_path_factory.mktemp("model"))


def test_the_arguments_are_upstreams() -> None:
    found = inspect.signature(DepthAnything3.inference).parameters
    assert list(found) == ["self", "image", *ARGUMENTS]
    assert {name: found[name].default for name in ARGUMENTS} == ARGUMENTS
    assert DepthAnything3().model_name == "da3-large"


def test_a_scene_is_its_steps_one_by_one(made: DepthAnything3) -> None:
    images = pictures(3)
    found = made.inference(images, process_res=SIDE, ref_view_strategy="middle")
    inputs = network_inputs(images, SIDE, "upper_bound_resize")
    expected = views_of(network(), inputs, strategy="middle")
    assert expected.reference == 1
    for name, value in (
        ("depth", expected.depth),
        ("conf", expected.confidence),
        ("extrinsics", expected.extrinsics),
        ("intrinsics", expected.intrinsics),
    ):
        assert np.array_equal(getattr(found, name), value), name
        assert getattr(found, name).dtype == np.float32
    assert found.depth.shape == (3, 56, 56)
    assert (found.extrinsics.shape, found.intrinsics.shape) == ((3, 3, 4), (3, 3, 3))  # type: ignore[union-attr]
    assert found.processed_images is not None
    assert found.processed_images.shape == (3, 56, 56, 3)
    assert (found.is_metric, found.scale_factor, found.sky) == (0, None, None)
    assert (found.aux, found.gaussians) == ({}, None)


@pytest.mark.parametrize("method", METHODS)
def test_intrinsics_go_where_the_pixels_go(method: str) -> None:
    """A bright square is, in the network's input, where the lens says."""
    sizes = [(301, 403), (403, 301), (333, 371)]
    images = [np.zeros((*size, 3), np.uint8) for size in sizes]
    for image in images:
        image[150:180, 160:190] = 255
    inputs = placed_inputs(images, 126, method)
    lens = np.array([[1.0, 0, 175], [0, 1.0, 165], [0, 0, 1]])  # the centre of the square
    for pixels, place in zip(inputs.images, inputs.places):
        weights = pixels[0] - pixels[0].min()
        rows, columns = np.mgrid[: pixels.shape[1], : pixels.shape[2]] + 0.5
        x, y = place.lens(lens)[:2, 2]
        assert abs((columns * weights).sum() / weights.sum() - x) < 0.05
        assert abs((rows * weights).sum() / weights.sum() - y) < 0.05
        left, top, width, height = place.window((pixels.shape[1], pixels.shape[2]))
        assert 0 <= left <= left + width <= place.source[1]
        assert 0 <= top <= top + height <= place.source[0]


@pytest.mark.parametrize("views", [1, 2, 3])
def test_given_cameras_and_depth_have_one_scale(views: int, made: DepthAnything3) -> None:
    images = pictures(views)
    placed, lenses = cameras(images)
    scaled = made.inference(images, placed, lenses, process_res=SIDE)
    kept = made.inference(images, placed, lenses, False, process_res=SIDE)
    inputs = placed_inputs(images, SIDE, "upper_bound_resize")
    lens = np.stack([p.lens(k.astype(np.float64)) for p, k in zip(inputs.places, lenses)])
    expected = views_of(network(), inputs.images, placed, lens)
    for found in (scaled, kept):
        assert found.intrinsics is not None
        assert np.allclose(found.intrinsics, lens, rtol=1e-6)
        assert found.intrinsics.dtype == np.float32
        assert np.allclose(found.conf, expected.confidence, rtol=1e-5)
    assert np.array_equal(scaled.extrinsics, placed[:, :3])
    assert np.allclose(kept.depth, expected.depth, rtol=1e-5)
    assert kept.extrinsics is not None
    assert (kept.extrinsics.shape, kept.extrinsics.dtype) == ((views, 4, 4), np.float64)
    scale = 1.0
    if views > 1:
        scale = steps(kept.extrinsics) / steps(placed)
        assert abs(scale - 1) > 0.1
    assert np.allclose(scaled.depth * scale, kept.depth, rtol=1e-4)
    if views == 2:
        assert scale == pytest.approx(steps(expected.extrinsics) / steps(placed), rel=1e-4)


def steps(extrinsics: Any) -> float:
    """How far the second camera is from the first."""
    matrices = np.linalg.inv([np.vstack((e[:3], [0, 0, 0, 1])) for e in extrinsics])
    return float(np.linalg.norm(matrices[1, :3, 3] - matrices[0, :3, 3]))


def test_cameras_are_given_in_pairs(made: DepthAnything3, caplog: pytest.LogCaptureFixture) -> None:
    images = pictures(2)
    placed, lenses = cameras(images)
    with pytest.raises(InputError, match="extrinsics without intrinsics: the network needs both"):
        made.inference(images, placed, process_res=SIDE)
    with pytest.raises(InputError, match="extrinsics without intrinsics"):
        made(torch.zeros(1, 2, 3, 56, 84), torch.from_numpy(placed)[None])
    with pytest.raises(InputError, match=r"intrinsics \(1, 3, 3\): expected \(2,3,3\)"):
        made.inference(images, placed, lenses[:1], process_res=SIDE)
    found = made.inference(images, intrinsics=lenses, process_res=SIDE)
    assert "intrinsics without extrinsics are ignored" in caplog.text
    assert np.array_equal(found.depth, made.inference(images, process_res=SIDE).depth)


def test_forward_takes_several_scenes(made: DepthAnything3) -> None:
    images = pictures(3, [(56, 84)] * 3)
    placed, lenses = cameras(images)
    inputs = torch.from_numpy(network_inputs(images, SIDE, "upper_bound_resize"))
    given = torch.from_numpy(normalised(placed)), torch.from_numpy(lenses)
    found = made(torch.stack([inputs, inputs.flip(0)]))
    posed = made(inputs[None], given[0][None], given[1][None], [1])
    alone = made.inference(images, process_res=SIDE)
    assert np.array_equal(found["depth"][0], alone.depth)
    assert found["extrinsics"].shape == (2, 3, 3, 4)
    assert not np.array_equal(found["depth_conf"][1].flip(0), alone.conf)  # another first view
    kept = made.inference(images, placed, lenses, False, process_res=SIDE)
    assert np.allclose(posed["depth"][0], kept.depth, rtol=1e-4)
    assert posed["aux"]["feat_layer_1"].shape == (1, 3, 4, 6, 32)


def test_a_nested_model_gives_metres_and_saves(made: DepthAnything3, tmp_path: Path) -> None:
    nested, images = model(tmp_path, NESTED), pictures(2)
    found = nested.inference(images, process_res=SIDE)
    assert found.is_metric == 1
    assert found.scale_factor is not None
    plain = made.inference(images, process_res=SIDE)
    ground = found.conf != 1
    assert np.allclose(found.depth[ground], plain.depth[ground] * found.scale_factor, rtol=1e-5)
    assert plain.extrinsics is not None
    assert found.extrinsics is not None
    moves = plain.extrinsics[:, :, 3] * found.scale_factor
    assert np.allclose(found.extrinsics[:, :, 3], moves, rtol=1e-5)
    again = DepthAnything3(NESTED)
    again.load_state_dict(nested.state_dict())
    assert np.array_equal(again.inference(images, process_res=SIDE).depth, found.depth)
    state = {k: v for k, v in nested.state_dict().items() if not k.startswith("metric.")}
    with pytest.raises(CheckpointError, match=r"network\.\* without metric\.\*"):
        again.load_state_dict(state)
    inputs = torch.from_numpy(network_inputs(images, SIDE, "upper_bound_resize"))[None]
    assert nested(inputs)["is_metric"] == 1
    with pytest.raises(InputError, match="2 scenes in metres"):
        nested(inputs.repeat(2, 1, 1, 1, 1))


def test_features_are_those_of_the_blocks(tmp_path: Path) -> None:
    made, images = model(tmp_path), pictures(3)
    layers = [5, 1, 4]  # over all views, before the trunk, of one view
    options: dict[str, Any] = {"process_res": SIDE, "ref_view_strategy": "middle"}
    found = made.inference(images, export_feat_layers=layers, **options)
    assert list(found.aux) == [f"feat_layer_{layer}" for layer in layers]
    kept: dict[int, Any] = {}
    encoder: Any = made.network.encoder
    for layer in layers:
        encoder.blocks[layer].register_forward_hook(
            lambda *call, layer=layer: kept.update({layer: call[2]})
        )
    assert np.array_equal(found.depth, made.inference(images, **options).depth)
    for layer in layers:
        tokens = kept[layer].reshape(3, -1, 32)
        if layer > 1:  # the network's order: the second view is the first
            tokens = tokens[[1, 0, 2]]
        expected = encoder.norm(tokens)[:, 1:].reshape(3, 4, 4, 32)
        assert np.array_equal(found.aux[f"feat_layer_{layer}"], expected)
    for bad in (6, -1, "x"):
        with pytest.raises(InputError, match="export_feat_layers .*: expected blocks 0 to 5"):
            made.inference(images, export_feat_layers=[bad], process_res=SIDE)  # type: ignore[list-item]


def test_threads_do_not_disturb_each_other(made: DepthAnything3) -> None:
    def features(views: int) -> Any:
        found = made.inference(pictures(views), process_res=SIDE, export_feat_layers=[3])
        return found.aux["feat_layer_3"]

    alone = [features(views) for views in (1, 2, 3, 4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(features, (1, 2, 3, 4)))
    assert all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(alone, together))


def test_cameras_come_from_rays_when_asked(
    made: DepthAnything3, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pictures(2)
    plain = made.inference(images, process_res=SIDE)
    monkeypatch.setattr("depth_anything_3.scenes.posed_by_rays", lambda v: _with_lens(v, 77))
    found = made.inference(images, use_ray_pose=True, process_res=SIDE)
    assert found.intrinsics is not None
    assert found.intrinsics[0, 0, 0] == 77
    assert np.array_equal(found.depth, plain.depth)


def _with_lens(views: Any, focal: float) -> Any:
    assert views.rays is not None
    views.intrinsics[:, 0, 0] = focal
    return views


def test_gaussians_are_refused_by_name(made: DepthAnything3) -> None:
    with pytest.raises(InputError, match="^infer_gs: not done for da3-small by this version"):
        made.inference(pictures(1), infer_gs=True, process_res=SIDE)
    with pytest.raises(InputError, match="^infer_gs: not done"):
        made(torch.zeros(1, 1, 3, 56, 84), infer_gs=True)


def test_a_damaged_network_is_told_from_bad_cameras(tmp_path: Path) -> None:
    made, images = model(tmp_path), pictures(2)
    made.network.camera_decoder.position.bias.fill_(np.nan)  # type: ignore[union-attr, operator]
    with pytest.raises(InputError, match="predicted cameras are not finite"):
        made.inference(images, *cameras(images), process_res=SIDE)


def test_published_weights_under_another_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    row = PublishedFile("da3-base", "r", "model.safetensors", "v", "0" * 64, None, "Apache-2.0")
    monkeypatch.setattr(api, "by_sha256", lambda _: row)
    with pytest.raises(CheckpointError, match="is published as da3-base, not as da3-small"):
        DepthAnything3.from_pretrained(saved(tmp_path))
