"""`infer_gs` of upstream's Python API: Gaussians, and the file of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
import torch

from depth.errors import InputError
from depth.scenes.inputs import Place
from depth.steps.alignment import aligned
from depth_anything_3.api import DepthAnything3
from depth_anything_3.export import Made, scene_of
from depth_anything_3.specs import Prediction
from tests.support.da3_pictures import GIANT, SIDE, cameras, install, model, pictures

MADE = Made("da3-giant", "untrained", "", (), scaled=False)
FIELDS = {"means": (3,), "scales": (3,), "rotations": (4,), "harmonics": (3, 9), "opacities": ()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepthAnything3]:
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        yield model(tmp_path_factory.mktemp("giant"), GIANT)


@pytest.fixture(scope="module")
def found(made: DepthAnything3) -> Prediction:
    return made.inference(pictures(3), process_res=SIDE, infer_gs=True)


def test_there_is_a_gaussian_for_each_pixel(found: Prediction) -> None:
    assert found.gaussians is not None
    for name, shape in FIELDS.items():
        values = getattr(found.gaussians, name)
        assert values.dtype == torch.float32
        assert values.shape == (1, found.depth.size, *shape), name
        assert torch.isfinite(values).all()


def test_gaussians_lie_before_the_cameras_that_the_network_predicts(found: Prediction) -> None:
    assert found.gaussians is not None
    assert found.extrinsics is not None
    means = found.gaussians.means[0].numpy().reshape(3, -1, 3)
    for view, placed in enumerate(found.extrinsics):
        off = means[view] - (-placed[:, :3].T @ placed[:, 3])
        depth = found.depth[view].ravel()
        share = np.linalg.norm(off, axis=1) / depth
        assert 0.2 < np.median(share) < 5


def test_without_being_asked_there_are_none(made: DepthAnything3, found: Prediction) -> None:
    plain = made.inference(pictures(3), process_res=SIDE)
    assert plain.gaussians is None
    np.testing.assert_array_equal(plain.depth, found.depth)


def test_given_cameras_scale_the_gaussians(made: DepthAnything3) -> None:
    images = pictures(3)
    placed, lenses = cameras(images)
    one = made.inference(images, placed, lenses, process_res=SIDE, infer_gs=True)
    again = made.inference(images, placed, lenses, False, process_res=SIDE, infer_gs=True)
    assert one.gaussians is not None
    assert again.gaussians is not None
    assert torch.equal(one.gaussians.means, again.gaussians.means)  # alignment comes after


@pytest.mark.parametrize("given", [None, True, False], ids=["predicted", "given", "moved"])
def test_files_have_gaussians_in_the_space_of_the_cameras(
    given: Optional[bool], made: DepthAnything3
) -> None:
    """The same transform moves the cameras of the views and the Gaussians."""
    images = pictures(3)
    cameras_given = () if given is None else (*cameras(images), given)
    found = made.inference(images, *cameras_given, process_res=SIDE, infer_gs=True)
    scene = scene_of(found, images, [Place((60, 90), (1.0, 1.0))] * 3, MADE)
    assert scene.gaussians is not None
    assert found.gaussians is not None
    own = found.gaussians.cameras
    assert own is not None
    means = scene.gaussians.means.reshape(*found.depth.shape, 3)
    raw = found.gaussians.means[0].numpy().reshape(means.shape)
    fit = aligned(scene.extrinsics.astype(np.float32), own)
    np.testing.assert_allclose(means, fit.scale * raw @ fit.rotation.T + fit.shift, atol=1e-4)
    if given is None:
        np.testing.assert_array_equal(means, raw)


def test_metres_scale_the_gaussians_of_a_file(made: DepthAnything3) -> None:
    images = pictures(2)
    found = made.inference(images, process_res=SIDE, infer_gs=True)
    assert found.gaussians is not None
    found.scale_factor, found.is_metric = 3.0, 1
    found.extrinsics[:, :, 3] *= 3  # type: ignore[index]
    scene = scene_of(found, images, [Place((60, 90), (1.0, 1.0))] * 2, MADE)
    assert scene.gaussians is not None
    np.testing.assert_allclose(scene.gaussians.means, 3 * found.gaussians.means[0], rtol=1e-5)
    np.testing.assert_allclose(scene.gaussians.scales, 3 * found.gaussians.scales[0], rtol=1e-5)


def test_forward_gives_gaussians_of_each_scene(made: DepthAnything3) -> None:
    images = torch.randn(2, 2, 3, 56, 84, generator=torch.Generator().manual_seed(0))
    both = made(images, infer_gs=True)
    for name, shape in FIELDS.items():
        values = getattr(both["gaussians"], name)
        assert values.shape == (2, 2 * 56 * 84, *shape)
        alone = getattr(made(images[1:], infer_gs=True)["gaussians"], name)
        assert torch.allclose(values[1:], alone, atol=1e-5)
    assert "gaussians" not in made(images)


def test_a_file_of_gaussians_comes_without_a_video(made: DepthAnything3, tmp_path: Path) -> None:
    options: dict[str, Any] = {"process_res": SIDE, "export_dir": tmp_path / "out"}
    made.inference(pictures(2), infer_gs=True, export_format="gs_ply-mini_npz", **options)
    names = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")}
    assert names == {"gs_ply/0000.ply", "exports/mini_npz/results.npz", "scene.json"}
    head = (tmp_path / "out/gs_ply/0000.ply").read_bytes().partition(b"end_header")[0]
    assert b"property float f_dc_2" in head


def test_other_models_refuse_gaussians_by_name(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        small = model(tmp_path)
    with pytest.raises(InputError, match="^infer_gs: not done for da3-small by this version"):
        small.inference(pictures(1), process_res=SIDE, infer_gs=True)
    with pytest.raises(InputError, match="gives no Gaussians; da3-giant does"):
        small.network.gaussian_stage((56, 84))  # type: ignore[union-attr]
