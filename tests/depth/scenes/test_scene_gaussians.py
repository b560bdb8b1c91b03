"""`gs_ply`: which Gaussians are written, and with which properties."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from depth.errors import InputError
from depth.scenes.export import export_scene
from depth.scenes.formats.gs_ply import GS_PLY, kept
from depth.scenes.options import Options
from depth.scenes.scene import Scene
from depth.steps.gaussians import Gaussians
from tests.support.rendered import rendered, sure
from tests.support.scene_samples import small, with_all

PLACE = ["x", "y", "z", "nx", "ny", "nz"]
COLOUR = ["f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
SHAPE = ["scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return with_all(sure(rendered(size=(48, 64))).scene)


def read(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of properties, and values [N,P] of a PLY whose properties are all float."""
    head, _, data = path.read_bytes().partition(b"end_header\n")
    lines = head.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    names = [line.split()[2] for line in lines if line.startswith("property float ")]
    assert len(names) == sum(line.startswith("property") for line in lines)
    return names, np.frombuffer(data, "<f4").reshape(-1, len(names))


def of(scene: Scene) -> Gaussians:
    assert scene.gaussians is not None
    return scene.gaussians


def test_a_file_has_the_properties_that_viewers_read(scene: Scene, tmp_path: Path) -> None:
    assert export_scene(scene, tmp_path, ["gs_ply"])[0] == tmp_path / GS_PLY
    names, found = read(tmp_path / GS_PLY)
    assert names == PLACE + COLOUR + SHAPE
    gaussians = of(scene)[kept(scene, of(scene), 1)]
    np.testing.assert_array_equal(found[:, :3], gaussians.means)
    assert not found[:, 3:6].any()
    np.testing.assert_array_equal(found[:, 6:9], gaussians.harmonics[:, :, 0])
    np.testing.assert_allclose(1 / (1 + np.exp(-found[:, 9])), gaussians.opacities, rtol=1e-5)
    np.testing.assert_allclose(np.exp(found[:, 10:13]), gaussians.scales, rtol=1e-5)
    np.testing.assert_array_equal(found[:, 13:], gaussians.rotations)


def test_the_border_and_the_farthest_are_left_out(scene: Scene) -> None:
    found = kept(scene, of(scene), 1).reshape(scene.depth.shape)
    down, across = 48 // 32, 64 // 32
    inner = found[:, down:-down, across:-across]
    assert inner.any(axis=(1, 2)).all()
    assert found.sum() == inner.sum()
    for view, depth in enumerate(scene.depth):
        assert depth[found[view]].max() <= np.quantile(depth, 0.9)
    assert 0.8 < found.sum() / inner.size < 0.95
    tiny = with_all(small(images=np.zeros((2, 4, 6, 3), np.uint8)))  # its border is 0 px wide
    assert kept(tiny, of(tiny), 1).all()


def test_every_second_view(scene: Scene, tmp_path: Path) -> None:
    every = kept(scene, of(scene), 2).reshape(scene.depth.shape)
    assert every.any(axis=(1, 2)).tolist() == [True, False, True, False]
    export_scene(scene, tmp_path, ["gs_ply"], Options(every=2))
    assert len(read(tmp_path / GS_PLY)[1]) == every.sum()


@pytest.mark.parametrize("name", [field.name for field in fields(Gaussians)])
def test_numbers_that_are_none_are_left_out(name: str, scene: Scene, tmp_path: Path) -> None:
    """Weights that nobody trained give negative scales, whose logarithm is no number."""
    values = getattr(of(scene), name).copy()
    inside = np.flatnonzero(kept(scene, of(scene), 1))
    values[inside[0]] = np.nan
    values[inside[1]] = -1 if name == "scales" else np.inf
    damaged = replace(scene, gaussians=replace(of(scene), **{name: values}))
    export_scene(damaged, tmp_path, ["gs_ply"])
    found = read(tmp_path / GS_PLY)[1]
    assert len(found) == len(inside) - 2
    assert np.isfinite(found).all()


def test_certain_opacity_has_a_logit(scene: Scene, tmp_path: Path) -> None:
    solid = replace(of(scene), opacities=np.ones(len(of(scene)), np.float32))
    export_scene(replace(scene, gaussians=solid), tmp_path, ["gs_ply"])
    assert read(tmp_path / GS_PLY)[1][:, 9] == pytest.approx(13.8, abs=0.1)


def test_a_scene_without_gaussians_is_refused(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gs_ply needs Gaussians, and the scene has none: only"):
        export_scene(replace(scene, gaussians=None), tmp_path, ["gs_ply"])
    nothing = replace(of(scene), scales=np.zeros_like(of(scene).scales))
    with pytest.raises(InputError, match="no Gaussian is left of the scene"):
        export_scene(replace(scene, gaussians=nothing), tmp_path, ["gs_ply"])
    half = of(scene)[np.arange(len(of(scene))) < 9]
    with pytest.raises(InputError, match="9 Gaussians of a scene: expected one for each of 12288"):
        replace(scene, gaussians=half)
