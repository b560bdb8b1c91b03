"""The networks of DPT-Large and DPT-Hybrid: shapes, numbers, published names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from compile.shapes_only import build_without_values
from depth.errors import CheckpointError, InputError
from depth.family import build, model_named
from depth.network.position import BilinearPosition, settle, unsettle
from midas.config import CONFIGS, DPT_SIZE
from midas.dpt import Readout
from midas.layouts import load_weights, standardised, to_ours
from midas.resnet import ResNet
from tests.support.midas import TINY_DPT, dpt_network, published_dpt_shapes

BOTH = pytest.mark.parametrize("name", list(TINY_DPT))


def published(name: str) -> dict[str, Tensor]:
    shapes = published_dpt_shapes(CONFIGS[name])
    return {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}


@BOTH
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (96, 32)])
def test_depth_has_the_size_of_the_images_varies_and_is_never_negative(
    name: str, size: tuple[int, int]
) -> None:
    depth = dpt_network(name, size)(torch.randn(2, 3, *size))
    assert depth.shape == (2, *size)
    assert depth.min() >= 0
    assert depth.max() - depth.min() > 0.01 * depth.max()


@BOTH
def test_images_of_a_batch_do_not_touch_each_other(name: str) -> None:
    made = dpt_network(name)
    images = torch.randn(3, 3, *made.fixed_size)
    alone = torch.cat([made(image[None]) for image in images])
    torch.testing.assert_close(made(images), alone, rtol=1e-4, atol=1e-5)


@BOTH
def test_a_size_can_be_left_and_taken_again(name: str) -> None:
    made = dpt_network(name, (64, 96))
    images = torch.randn(1, 3, 64, 96)
    expected = made(images)
    made.fix_size(32, 32)
    with pytest.raises(InputError, match="images of 64x96 px: the network is fixed at 32x32"):
        made(images)
    made.fix_size(64, 96)
    assert torch.equal(made(images), expected)
    with pytest.raises(InputError, match=f"no stage 'encoder': {name} is run whole"):
        made.stage("encoder")


def test_without_a_size_it_follows_its_images() -> None:
    model = TINY_DPT["tiny-large"]
    free, fixed = build(model).eval(), dpt_network("tiny-large", (32, 64))
    free.load_state_dict(fixed.state_dict())
    images = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        assert torch.equal(free(images), fixed(images))
        with pytest.raises(InputError, match="must be a multiple of 32"):
            free(torch.zeros(1, 3, 32, 48))


def test_a_readout_is_one_layer_over_both_tokens() -> None:
    readout, tokens = Readout(4), torch.randn(2, 6, 4)
    both = torch.cat((tokens[:, 1:], tokens[:, :1].expand(-1, 5, -1)), dim=-1)
    weight = torch.cat((readout.patches.weight, readout.class_token.weight), dim=1)
    expected = nn.functional.gelu(nn.functional.linear(both, weight, readout.patches.bias))
    torch.testing.assert_close(readout(tokens, 6), expected, rtol=1e-5, atol=1e-6)


def test_the_position_is_resampled_between_cell_centres_and_can_be_settled() -> None:
    holder = nn.Module()
    holder.position = BilinearPosition(1, native_grid=2)
    with torch.no_grad():
        holder.position.pos_embed.copy_(torch.tensor([7.0, 0.0, 4.0, 8.0, 12.0])[None, :, None])
    live = holder.position(1, 4)[0, :, 0]
    assert live.tolist() == [7.0, 4.0, 5.0, 7.0, 8.0]
    settle(holder, 1, 4)
    assert torch.equal(holder.position(1, 4)[0, :, 0], live)
    unsettle(holder)
    assert holder.position(2, 2)[0, 1:, 0].tolist() == [0.0, 4.0, 8.0, 12.0]


def test_the_maximum_of_the_resnet_is_padded_at_the_end() -> None:
    """As a maximum over less than nothing: padding below every value."""
    made = ResNet((1,), (128,)).eval()
    stem = made.stem(torch.randn(1, 3, 32, 64))
    padded = nn.functional.pad(stem, (0, 1, 0, 1), value=float("-inf"))
    expected = made.stages[0](nn.functional.max_pool2d(padded, 3, stride=2))
    made.stem = nn.Identity()
    (found,) = made(stem)
    assert torch.equal(found, expected)
    assert found.shape == (1, 128, 8, 16)


def test_standardised_weights_are_those_of_a_batch_norm_over_each_channel() -> None:
    weight = torch.randn(5, 3, 3, 3) + 2
    rows = weight.reshape(1, 5, -1)
    expected = nn.functional.batch_norm(rows, None, None, training=True, momentum=0.0, eps=1e-8)
    torch.testing.assert_close(standardised(weight), expected.reshape(weight.shape))
    assert not standardised(torch.ones(2, 3, 1, 1)).any()  # no deviation: not a division by zero


@pytest.mark.parametrize("name", list(CONFIGS))
def test_every_published_key_is_accounted_for(name: str) -> None:
    state = published(name)
    assert len(state) == 368
    shape_only = build_without_values(model_named(name))
    found = {key: tuple(value.shape) for key, value in to_ours(state).items()}
    wanted = {key: tuple(value.shape) for key, value in shape_only.state_dict().items()}
    assert found == wanted
    unused = [key for key in state if "model.norm" in key or "model.head" in key]
    unused += [key for key in state if "refinenet4.resConfUnit1" in key]
    halves = sum("project.0.weight" in key for key in state)
    assert len(wanted) == len(state) - len(unused) + halves
    assert len(unused) == 8


@BOTH
def test_our_own_names_load_again_to_the_last_bit(name: str) -> None:
    made = dpt_network(name)
    state = {key: value.clone() for key, value in made.state_dict().items()}
    again = build(TINY_DPT[name])
    load_weights(again, state, "our own")
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scratch.layer1_rn.weight": None}, "published does not fit .*missing decoder"),
        ({"scratch.other.weight": torch.zeros(1)}, "unknown keys in the checkpoint: scratch.other"),
        (
            {"pretrained.act_postprocess3.0.project.0.weight": torch.zeros(3)},
            r"missing encoder\.readout\.2\.class_token\.weight",
        ),
        (
            {"pretrained.model.patch_embed.backbone.stem.conv.weight": torch.zeros(0, 3, 7, 7)},
            "encoder.backbone.stem.convolution.raw",
        ),
    ],
)
def test_a_state_dict_that_does_not_fit_is_refused(change: dict[str, Tensor], message: str) -> None:
    changed = {**published("dpt-hybrid"), **change}
    state = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(CheckpointError, match=message):
        load_weights(build_without_values(model_named("dpt-hybrid")), state, "published")


def test_weights_of_the_other_size_are_named() -> None:
    network = build_without_values(model_named("dpt-large"))
    with pytest.raises(CheckpointError, match="the file looks like 'dpt-hybrid'"):
        load_weights(network, published("dpt-hybrid"), "published")


@pytest.mark.parametrize(
    ("image", "size"),
    [
        ((1080, 1920), (384, 672)),
        ((384, 384), (384, 384)),
        ((101, 333), (128, 384)),
        ((37, 53), (256, 384)),
    ],
)
def test_the_side_that_changes_least_becomes_384(
    image: tuple[int, int], size: tuple[int, int]
) -> None:
    assert DPT_SIZE.size_for(*image) == size
