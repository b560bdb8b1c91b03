"""The network of midas-small: its shapes, its padding, its numbers and its published names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from compile.shapes_only import build_without_values
from depth.errors import CheckpointError, InputError
from depth.family import build, image_model_named
from depth.network.convolution import BatchNorm, SameConvolution
from midas.config import SMALL_MODEL
from midas.layouts import load_weights
from tests.support.midas import TINY_MODEL, published_shapes, published_state, small_network


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (96, 32)])
def test_depth_has_the_size_of_the_images_varies_and_is_never_negative(
    size: tuple[int, int],
) -> None:
    depth = small_network(size)(torch.randn(2, 3, *size))
    assert depth.shape == (2, *size)
    assert depth.min() >= 0
    assert depth.max() - depth.min() > 0.01 * depth.max()


def test_images_of_a_batch_do_not_touch_each_other() -> None:
    made = small_network()
    images = torch.randn(3, 3, *made.fixed_size)
    alone = torch.cat([made(image[None]) for image in images])
    torch.testing.assert_close(made(images), alone, rtol=1e-5, atol=1e-5)


def test_a_size_can_be_left_and_taken_again() -> None:
    made = small_network((64, 96))
    made.fix_size(32, 32)
    with pytest.raises(InputError, match="images of 64x96 px: the network is fixed at 32x32"):
        made(torch.zeros(1, 3, 64, 96))
    with pytest.raises(InputError, match="height 40 px: must be a multiple of 32; nearest is 32"):
        made.fix_size(40, 32)
    made.fix_size(64, 96)
    assert made(torch.zeros(1, 3, 64, 96)).shape == (1, 64, 96)


def test_without_a_size_it_follows_its_images_and_refuses_other_multiples() -> None:
    made = build(TINY_MODEL).eval()
    with torch.no_grad():
        assert made(torch.zeros(1, 3, 32, 64)).shape == (1, 32, 64)
        with pytest.raises(InputError, match="must be a multiple of 32"):
            made(torch.zeros(1, 3, 32, 70))


def test_it_has_no_stages() -> None:
    with pytest.raises(InputError, match="no stage 'encoder': tiny-small is run whole"):
        small_network().stage("encoder")


@pytest.mark.parametrize(
    ("kernel_px", "stride", "pads"),
    [
        (3, 2, (0, 1)),
        (5, 2, (1, 2)),
        (3, 1, (1, 1)),
        (5, 1, (2, 2)),
        (1, 1, (0, 0)),
        (7, 2, (2, 3)),
    ],
)
def test_the_padding_is_tensorflows_same(
    kernel_px: int, stride: int, pads: tuple[int, int]
) -> None:
    layer = SameConvolution(2, 3, kernel_px, stride)
    x = torch.randn(1, 2, 8, 12)
    padded = nn.functional.pad(x, (*pads, *pads))
    expected = nn.functional.conv2d(padded, layer.weight, stride=stride)
    assert torch.equal(layer(x), expected)
    assert expected.shape == (1, 3, 8 // stride, 12 // stride)


def test_batch_norm_has_the_numbers_of_the_training_in_any_mode() -> None:
    ours, torchs = BatchNorm(3, 1e-3), nn.BatchNorm2d(3, eps=1e-3)
    with torch.no_grad():
        for values in (torchs.weight, torchs.bias, torchs.running_mean, torchs.running_var):
            assert isinstance(values, Tensor)
            values.uniform_(0.5, 1.5)
    state = {k: v for k, v in torchs.state_dict().items() if "tracked" not in k}
    ours.load_state_dict(state)
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(ours.train()(x), torchs.eval()(x))
    assert all(torch.equal(ours.state_dict()[name], values) for name, values in state.items())


def test_every_published_key_is_accounted_for() -> None:
    shapes = published_shapes()
    assert len(shapes) == 482
    assert sum("num_batches" in name for name in shapes) == 72
    network, state = build(SMALL_MODEL), published_state()
    unused = [name for name in state if "refinenet4.resConfUnit1" in name or "num_bat" in name]
    load_weights(network, state, "published")
    assert not any(values.any() for values in network.state_dict().values())
    assert len(network.state_dict()) == 482 - len(unused)
    load_weights(network, network.state_dict(), "our own")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scratch.layer1_rn.weight": None}, "published does not fit .*missing decoder"),
        ({"scratch.other.weight": torch.zeros(1)}, "unknown keys in the checkpoint: scratch.other"),
        (
            {"pretrained.layer1.0.weight": torch.zeros(1)},
            r"stem.*expected \(32, 3, 3, 3",
        ),
        ({"pretrained.layer1.1.bias": torch.tensor([1] * 32)}, "int64.*floating-point"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_refused(change: dict[str, Tensor], message: str) -> None:
    state = {k: v for k, v in {**published_state(), **change}.items() if v is not None}
    with pytest.raises(CheckpointError, match=message):
        load_weights(build_without_values(SMALL_MODEL), state, "published")


def test_weights_of_another_family_are_refused() -> None:
    with pytest.raises(CheckpointError, match="not a MiDaS checkpoint: keys start with depth_head"):
        load_weights(build_without_values(SMALL_MODEL), {"depth_head.a": torch.zeros(1)}, "file")


@pytest.mark.parametrize(
    ("image", "size"),
    [
        ((1080, 1920), (128, 256)),
        ((2000, 3000), (160, 256)),
        ((1, 1), (256, 256)),
        ((9, 900), (32, 256)),
    ],
)
def test_the_long_side_is_at_most_256(image: tuple[int, int], size: tuple[int, int]) -> None:
    assert image_model_named("midas-small").size.size_for(*image) == size
