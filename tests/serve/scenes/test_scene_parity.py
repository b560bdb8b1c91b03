"""Scenes through a saved artifact against the network that it was made of, eager in float32."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compile.build.build import build
from compile.build.request import Request
from compile.untrained import untrained_checkpoint
from depth.family import build as network_of
from depth.family import load_weights
from depth.images.read import read_image
from depth.scenes.export import export_scene, formats_named
from depth.scenes.inputs import Inputs, planned
from depth.scenes.options import Options
from depth.scenes.scene import Scene
from depth.steps.alignment import aligned
from depth.steps.cameras import Cameras
from depth.steps.views import Views, metric_views, posed_by_rays
from depth_anything_3 import config
from depth_anything_3.anyview.config import NestedModel, nested_row
from depth_anything_3.anyview.stages import metric_of, views_of
from serve.scenes.pipeline import SceneAsked, ScenePipeline
from tests.support.da3 import TINY_METRIC
from tests.support.da3_views import SIZE, TINY_MODEL, network, ring
from tests.support.hostile import encoded, picture

GATE = 5e-4  # of the largest value, as the artifact's own
ASKED = SceneAsked(process_res=84)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(6):
        data = encoded(picture(80, 120, seed=number), "PNG")
        (folder / f"{number}.png").write_bytes(data)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScenePipeline]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(config.MODELS, TINY_MODEL.name, TINY_MODEL)
        weights = untrained_checkpoint(TINY_MODEL)
        request = Request(
            TINY_MODEL, weights, "torchscript", "fp32", [SIZE], (2,), views=(1, 4), rays=True
        )
        folder = build(request, tmp_path_factory.mktemp("artifacts"))
    with ScenePipeline(folder) as pipeline:
        yield pipeline


def inputs_of(photos: list[Path]) -> np.ndarray:
    """Network inputs, as serving makes them."""
    pixels = [read_image(path).pixels for path in photos]
    plan = planned([image.shape[:2] for image in pixels], TINY_MODEL.size, 84, ASKED.method)
    assert plan.size == SIZE
    inputs = Inputs(TINY_MODEL.before, TINY_MODEL.size)
    return np.concatenate([inputs.of(image, plan, n) for n, image in enumerate(pixels)])


def eager(
    photos: list[Path], given: object = (None, None), strategy: str = "saddle_balanced"
) -> Views:
    """What the network says of photographs, through the same inputs."""
    return views_of(network(), inputs_of(photos), *given, strategy, rays=True)


def off(found: Scene, expected: Views) -> dict[str, float]:
    """Largest errors, as shares of the largest value."""
    pairs = {
        name: (getattr(found, name), getattr(expected, name))
        for name in ("depth", "confidence", "extrinsics", "intrinsics")
    }
    return {
        n: float(np.abs(ours - theirs).max() / np.abs(theirs).max())
        for n, (ours, theirs) in pairs.items()
    }


@pytest.mark.parametrize("views", [1, 4])
def test_a_scene_is_that_of_the_eager_network(
    served: ScenePipeline, photos: list[Path], views: int
) -> None:
    for strategy in ("saddle_balanced", "middle"):
        scene = served(photos[:views], SceneAsked(process_res=84, strategy=strategy))
        errors = off(scene, eager(photos[:views], strategy=strategy))
        assert max(errors.values()) < GATE, errors
    other = off(scene, eager(photos[6 - views :]))
    assert max(other.values()) > 10 * GATE, "another scene would be noticed"


def test_given_cameras_change_the_scene_as_in_the_eager_network(
    served: ScenePipeline, photos: list[Path]
) -> None:
    """Given in px of the photographs, and in a scale of their own."""
    placed, lens = ring(4)
    lens_of_photo = lens.copy()
    lens_of_photo[:, :2] *= 120 / 84
    lens_of_photo[:, 1] *= 80 / 120 * 84 / 56
    given = Cameras(placed[:, :3], lens_of_photo)
    scene = served(photos[:4], SceneAsked(process_res=84, cameras=given))
    expected = eager(photos[:4], (placed, lens))
    scale = aligned(expected.extrinsics, placed[:, :3]).scale
    assert np.abs(scene.depth * scale - expected.depth).max() < GATE * expected.depth.max()
    assert np.allclose(scene.extrinsics, placed[:, :3], atol=1e-6)
    assert np.allclose(scene.intrinsics, lens, rtol=1e-5)
    free = eager(photos[:4])
    assert np.abs(free.depth - expected.depth).max() > 10 * GATE * expected.depth.max()


def test_cameras_from_rays_are_those_of_the_eager_network(
    served: ScenePipeline, photos: list[Path]
) -> None:
    scene = served(photos[:4], SceneAsked(process_res=84, ray_pose=True))
    expected = posed_by_rays(eager(photos[:4]))
    errors = off(scene, expected)
    assert max(errors.values()) < 20 * GATE, errors  # of a fit to noise: the weights are random
    assert errors["depth"] < GATE


def test_a_nested_model_is_in_metres(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = nested_row(NestedModel("tiny-nested", TINY_MODEL, TINY_METRIC))
    monkeypatch.setitem(config.MODELS, row.name, row)
    weights = untrained_checkpoint(row)
    weights.state["metric.decoder.heads.sky.conv2.bias"] -= 10  # nothing is sky
    request = Request(row, weights, "torchscript", "fp32", [SIZE], views=(2,))
    folder = build(request, tmp_path)
    both: Any = network_of(row)
    load_weights(both, weights.state, "untrained")
    both.eval()
    images = inputs_of(photos[:2])
    plain = views_of(both.any_view, images)
    expected = metric_views(plain, metric_of(both.metric), images)
    with ScenePipeline(folder) as pipeline:
        scene = pipeline(photos[:2], ASKED)
    assert scene.unit == "m"
    errors = off(scene, expected)
    assert max(errors.values()) < GATE, errors
    assert abs(expected.scale - 1) > 10 * GATE
    assert off(scene, plain)["depth"] > 10 * GATE


def test_a_sequence_saves_prefixes_and_exports(
    served: ScenePipeline, photos: list[Path], tmp_path: Path
) -> None:
    before = served.counts()
    scenes = list(served.sequence(photos, ASKED, window=4, overlap=2))
    after = served.counts()
    assert [len(scene) for scene in scenes] == [4, 2]
    assert after.hits + after.misses - before.hits - before.misses == 8
    assert after.hits - before.hits >= 2
    for number, scene in enumerate(scenes):
        formats = formats_named("mini_npz-glb")
        assert export_scene(scene, tmp_path / str(number), formats, Options(points=100))
