"""The network of any number of views: its stages, and scenes without upstream's code."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from depth.errors import InputError
from depth.family import image_model_named, image_models, models
from depth.steps.cameras import Cameras
from depth.steps.reference_view import STRATEGIES, reference_view
from depth.steps.views import Rays, Views, metric_views, posed_by_rays, views_after
from depth_anything_3.anyview.config import ANY_VIEW_MODELS, NESTED_MODELS
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.anyview.stages import eager_stages, metric_of, views_of
from tests.support import da3
from tests.support.da3_views import SIZE, network, ring, scene
from tests.support.ray_samples import rays_of, sample_cameras


@pytest.fixture(scope="module")
def net() -> AnyViewNetwork:
    return network()


def equal(found: Views, expected: Views, limit: float = 0.0) -> None:
    for name in ("depth", "confidence", "extrinsics", "intrinsics"):
        a, b = getattr(found, name), getattr(expected, name)
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= limit * np.abs(b).max(), name


@pytest.mark.parametrize("views", [1, 2, 3, 9])
def test_what_a_scene_has(net: AnyViewNetwork, views: int) -> None:
    found = views_of(net, scene(views), rays=True)
    assert found.depth.shape == found.confidence.shape == (views, *SIZE)
    assert found.extrinsics.shape == (views, 3, 4)
    assert found.intrinsics.shape == (views, 3, 3)
    assert found.rays is not None
    assert found.rays.rays.shape == (views, 8 * 4, 8 * 6, 6)
    assert found.rays.confidence.shape == (views, 8 * 4, 8 * 6)
    assert found.depth.dtype == found.intrinsics.dtype == np.float32
    assert found.depth.min() > 0
    assert min(found.confidence.min(), found.rays.confidence.min()) > 1
    rotations = found.extrinsics[:, :, :3]
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-5)
    assert np.allclose(found.intrinsics[:, :2, 2], (42, 28))
    assert (found.intrinsics[:, 0, 0] > 20).all()  # an angle of view near 1 radian
    assert (found.intrinsics[:, 0, 0] < 300).all()


def test_rays_only_when_asked_for(net: AnyViewNetwork) -> None:
    images = scene(2)
    without = views_of(net, images)
    assert without.rays is None
    equal(without, views_of(net, images, rays=True))
    head = net.head(SIZE)
    assert not any(name.startswith("rays") for name, _ in head.named_parameters())


def test_a_call_takes_each_image_as_a_scene(net: AnyViewNetwork) -> None:
    images = scene(3)
    depth, confidence = net(torch.from_numpy(images))
    for view in range(3):
        alone = views_of(net, images[view : view + 1])
        assert np.allclose(depth[view].numpy(), alone.depth[0], rtol=1e-5)
        assert np.allclose(confidence[view].numpy(), alone.confidence[0], rtol=1e-5)
    # Together they are another scene.
    together = views_of(net, images)
    assert np.abs(together.depth - depth.numpy()).max() > 1e-3 * together.depth.max()


def test_scenes_share_what_the_first_stage_says(net: AnyViewNetwork) -> None:
    images = scene(11)
    stages = eager_stages(net, SIZE)
    seen = stages.prefix(images)
    for views in (slice(0, 5), slice(3, 11)):
        equal(views_after(stages, seen[views]), views_of(net, images[views]), 1e-5)
    extrinsics, intrinsics = ring(2)
    with pytest.raises(InputError, match="2 cameras for 11 views: give one for each, or none"):
        views_after(stages, seen, Cameras(extrinsics[:, :3], intrinsics))


def test_the_last_stages_do_not_know_other_views(net: AnyViewNetwork) -> None:
    """A batch of views and each view alone: prefix and head have no number of views."""
    images = torch.from_numpy(scene(3))
    prefix = net.prefix(SIZE)
    tokens, class_tokens = prefix(images)
    features, _ = net.trunk(SIZE, 3)(tokens[None], net.cameras(3).learned)
    head = net.head(SIZE, rays=True)
    maps = head(features[0])
    for view in range(3):
        alone = prefix(images[view : view + 1])
        assert torch.allclose(alone[0][0], tokens[view], atol=1e-5)
        assert torch.allclose(alone[1][0], class_tokens[view], atol=1e-5)
        for found, expected in zip(head(features[0, view : view + 1]), maps):
            assert torch.allclose(found[0], expected[view], rtol=1e-4, atol=1e-5)


def test_scenes_of_one_batch_are_strangers(net: AnyViewNetwork) -> None:
    images = torch.from_numpy(scene(4))
    tokens, _ = net.prefix(SIZE)(images)
    trunk, cameras = net.trunk(SIZE, 2), net.cameras(2).learned
    both = trunk(tokens.reshape(2, 2, *tokens.shape[1:]), cameras.expand(2, -1, -1))
    for number in range(2):
        alone = trunk(tokens[None, 2 * number : 2 * number + 2], cameras)
        for found, expected in zip(alone, both):
            assert torch.allclose(found[0], expected[number], atol=1e-5)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_views_come_back_in_their_order(net: AnyViewNetwork, strategy: str) -> None:
    images = scene(5)
    found = views_of(net, images, strategy=strategy)
    reference = reference_view(eager_stages(net, SIZE).prefix(images).class_tokens, strategy)
    assert found.reference == reference
    # The reference view put first by hand, and the others in another order.
    order = [reference, *(view for view in (4, 2, 0, 3, 1) if view != reference)]
    shuffled = views_of(net, images[order], strategy="first")
    back = np.argsort(order)
    for name in ("depth", "confidence", "extrinsics", "intrinsics"):
        a, b = getattr(found, name), getattr(shuffled, name)[back]
        assert np.abs(a - b).max() < 1e-5 * np.abs(b).max(), name


def test_the_reference_view_counts(net: AnyViewNetwork) -> None:
    images = scene(5)
    first, middle = (views_of(net, images, strategy=name) for name in ("first", "middle"))
    assert (first.reference, middle.reference) == (0, 2)
    assert np.abs(first.depth - middle.depth).max() > 1e-3 * first.depth.max()


@pytest.mark.parametrize("views", [1, 2, 4])
def test_known_cameras_count(net: AnyViewNetwork, views: int) -> None:
    images, (extrinsics, intrinsics) = scene(views), ring(views)
    found = views_of(net, images, extrinsics, intrinsics, "middle")
    assert found.reference == 0  # the first camera is the world
    free = views_of(net, images, strategy="first")
    assert np.abs(found.depth - free.depth).max() > 1e-3 * free.depth.max()
    # The world that cameras are given in, and its unit, do not count.
    moved = extrinsics @ np.linalg.inv(ring(views + 1)[0][-1])
    if views > 2:  # of two distances, the lower median is that of the first camera, 0
        moved[:, :3, 3] *= 5
    equal(views_of(net, images, moved, intrinsics), found, 1e-4)
    if views > 1:
        other = views_of(net, images, extrinsics[::-1], intrinsics)
        assert np.abs(found.depth - other.depth).max() > 1e-4 * free.depth.max()


def test_the_stages_are_the_network_and_have_no_other_weights(net: AnyViewNetwork) -> None:
    moved = network()
    images = torch.from_numpy(scene(2))
    expected = moved(images)
    moved.fix_size(*SIZE)
    tokens, _ = moved.stage("prefix")(images)
    cameras = moved.cameras(1).learned.expand(2, -1, -1)
    features, _ = moved.stage("trunk")(tokens[:, None], cameras)
    for found, wanted in zip(moved.stage("head")(features[:, 0]), expected):
        assert torch.equal(found, wanted)
    own = [
        {id(part) for part in moved.stage(name).parameters()}
        for name in ("prefix", "cameras", "trunk", "head_rays")
    ]
    assert sum(map(len, own)) == len(set().union(*own))  # each weight is of one stage,
    others = {id(part) for part in moved.parameters()} - set().union(*own)
    assert others == {id(moved.encoder.camera_token)}  # or is a constant of `cameras`
    stages = [stage.name for stage in moved.model.split]
    assert stages == ["prefix", "cameras", "trunk", "head"]
    with pytest.raises(InputError, match="no stage 'encoder'; choose from prefix, cameras, trunk"):
        moved.stage("encoder")
    for name in ("trunk", "cameras"):
        with pytest.raises(InputError, match="0 views"):
            moved.stage(name, 0)
    with pytest.raises(InputError, match="has no size yet"):
        net.stage("prefix")


def test_traces_have_no_warning_and_no_bicubic() -> None:
    moved = network()
    moved.fix_size(*SIZE)
    images = torch.from_numpy(scene(3))
    tokens, _ = moved.stage("prefix")(images)
    cameras = moved.cameras(3).learned
    features, _ = moved.stage("trunk", 3)(tokens[None], cameras)
    runs = {
        ("prefix", 1): (images,),
        ("trunk", 3): (tokens[None], cameras),
        ("head", 1): (features[0],),
        ("head_rays", 1): (features[0],),
        ("cameras", 3): (torch.rand(1, 3, 9), torch.ones(1, 1, 1)),
    }
    for (name, views), arguments in runs.items():
        stage = moved.stage(name, views)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            traced = torch.jit.trace(stage, arguments)
        graph = str(traced.inlined_graph)
        for operator in ("bicubic", "linspace", "aten::cos", "aten::arange", "embedding", "_("):
            assert operator not in graph, (name, operator)
        for found, expected in zip(traced(*arguments), stage(*arguments)):
            assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_images_and_cameras_that_do_not_fit_are_refused(net: AnyViewNetwork) -> None:
    extrinsics, intrinsics = ring(2)
    with pytest.raises(InputError, match="height 57 px: must be a multiple of 14"):
        views_of(net, np.zeros((1, 3, 57, 84), np.float32))
    for shape in ((0, 3, 56, 84), (3, 56, 84), (1, 4, 56, 84)):
        with pytest.raises(InputError, match="expected \\(views,3,height,width\\)"):
            views_of(net, np.zeros(shape, np.float32))
    with pytest.raises(InputError, match="no strategy 'last'"):
        views_of(net, scene(1), strategy="last")
    with pytest.raises(InputError, match="cameras without intrinsics: .* both, or none"):
        views_of(net, scene(2), extrinsics)
    with pytest.raises(InputError, match="cameras without extrinsics"):
        views_of(net, scene(2), None, intrinsics)
    with pytest.raises(InputError, match=r"extrinsics \(2, 4, 4\): expected \(3,3,4\)"):
        views_of(net, scene(3), extrinsics, intrinsics)
    moved = network()
    moved.fix_size(*SIZE)
    with pytest.raises(InputError, match="images of 28x84 px: the network is fixed at 56x84"):
        moved(torch.zeros(1, 3, 28, 84))


def test_cameras_of_its_rays(net: AnyViewNetwork) -> None:
    images = scene(2)
    lines, confidence = rays_of(sample_cameras(2))
    views = replace(views_of(net, images), rays=Rays(lines, confidence))
    found = posed_by_rays(views)
    assert np.allclose(found.intrinsics, sample_cameras(2).intrinsics, rtol=1e-4, atol=1e-2)
    assert np.array_equal(found.depth, views.depth)
    with pytest.raises(InputError, match="no rays: ask for them"):
        posed_by_rays(views_of(net, images))


def test_metres_by_a_second_network(net: AnyViewNetwork) -> None:
    images, metric = scene(3), da3.network(da3.TINY_METRIC)
    views = views_of(net, images)
    found = metric_views(views, metric_of(metric), images)
    assert found.scale is not None
    assert found.scale > 0
    assert np.allclose(found.extrinsics[:, :, 3], found.scale * views.extrinsics[:, :, 3])
    assert np.array_equal(found.intrinsics, views.intrinsics)
    ratio = found.depth / views.depth
    assert (np.abs(ratio - found.scale) < 1e-4 * found.scale).mean() > 0.1  # the rest is sky
    assert views.scale is None


def test_commands_offer_scenes() -> None:
    found = models()
    assert all(found[name] is row for name, row in ANY_VIEW_MODELS.items())
    scenes = [name for name, row in found.items() if row.takes_scenes]
    assert scenes == [*ANY_VIEW_MODELS, *NESTED_MODELS]
    assert found["da3nested-giant-large"].kind == "metres"
    assert not image_models().keys() & {*scenes}
    with pytest.raises(InputError, match="'da3-small' makes scenes of several views"):
        image_model_named("da3-small")
    with pytest.raises(InputError, match="no model 'da4'"):
        image_model_named("da4")


def test_rows_say_what_the_values_are() -> None:
    for name, row in ANY_VIEW_MODELS.items():
        assert row.name == name
        assert (row.kind, row.size.size_for(1362, 2048)) == ("relative_depth", (336, 504))
        assert row.config.embed_dim == 64 * row.config.num_heads
        assert replace(row.config, norm_eps=1e-5) == row.config
