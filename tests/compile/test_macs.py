"""Multiply-accumulates against figures that were worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from compile.lowering.passes import lower
from compile.macs import count_macs
from compile.shapes_only import build_without_values, without_values
from compile.targets.table import NEURON_PASSES
from depth.family import model_named
from depth_anything_v2.config import CONFIGS
from tests.support.models import SIZE, TINY, network, untrained


class Product(nn.Module):
    """An activation times a constant, or times itself."""

    constant: Tensor

    def __init__(self, constant: bool) -> None:
        super().__init__()
        self.register_buffer("constant", torch.zeros(5, 7))
        self.use = constant

    def forward(self, x: Tensor) -> Tensor:
        return self.constant @ x if self.use else torch.matmul(x.transpose(1, 2), x)


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Linear(6, 10), (2, 4, 6), {"linear": 2 * 4 * 6 * 10}),
        (nn.Conv2d(3, 8, 3, padding=1), (2, 3, 5, 7), {"conv": 2 * 8 * 5 * 7 * 3 * 9}),
        (nn.Conv2d(4, 8, 3, stride=2, groups=2), (1, 4, 9, 9), {"conv": 8 * 4 * 4 * 2 * 9}),
        (nn.ConvTranspose2d(3, 8, 2, stride=2), (1, 3, 5, 7), {"conv": 5 * 7 * 3 * 8 * 4}),
        (Product(constant=True), (2, 7, 9), {"resize": 2 * 5 * 9 * 7}),
        (Product(constant=False), (2, 7, 9), {"attention": 2 * 9 * 9 * 7}),
        (nn.Upsample(scale_factor=2, mode="bilinear"), (1, 3, 5, 7), {}),
        (nn.LayerNorm(7), (1, 3, 7), {}),
    ],
    ids=str,
)
def test_one_operator(module: nn.Module, shape: tuple[int, ...], expected: dict[str, int]) -> None:
    zero = {"linear": 0, "attention": 0, "conv": 0, "resize": 0}
    assert count_macs(module, torch.zeros(shape)) == {**zero, **expected}


def test_vits_at_518() -> None:
    network = untrained(CONFIGS["vits"])
    found = count_macs(network, torch.empty(1, 3, 518, 518))
    tokens, width, blocks = 1 + 37 * 37, 384, 12
    assert found["linear"] == blocks * tokens * 12 * width**2
    assert found["attention"] == blocks * 2 * tokens**2 * width
    assert found["conv"] == 11_246_136_960
    assert found["resize"] == 0
    assert round(sum(found.values()) / 1e9, 1) == 57.6


def test_two_images_cost_twice() -> None:
    one, two = (count_macs(network(TINY), torch.empty(b, 3, *SIZE)) for b in (1, 2))
    assert {kind: 2 * macs for kind, macs in one.items()} == two


def test_lowering_moves_the_patches_and_adds_the_resizes() -> None:
    plain = network(TINY)
    lowered = lower(plain, NEURON_PASSES)
    before, after = (count_macs(m, torch.empty(1, 3, *SIZE)) for m in (plain, lowered))
    patches = 4 * 5 * 3 * 14 * 14 * TINY.embed_dim
    assert after["linear"] - before["linear"] == before["conv"] - after["conv"] == patches
    assert after["attention"] == before["attention"]
    # Columns, then rows, for C channels from (h, w) to (H, W): h*w*W + h*H*W.
    fusions = [((2, 3), (4, 5)), ((4, 5), (8, 10)), ((8, 10), (16, 20)), ((16, 20), (32, 40))]
    steps = [(8, *step) for step in fusions] + [(4, (32, 40), (56, 70))]
    assert after["resize"] == sum(
        c * min(h * w * width + h * height * width, h * w * height + w * height * width)
        for c, (h, w), (height, width) in steps
    )


@pytest.mark.parametrize("form", ["resize=conv1x1", "resize=matmul"])
def test_both_forms_of_resizing_cost_the_same(form: str) -> None:
    example = torch.empty(1, 3, *SIZE)
    matmul = count_macs(lower(network(TINY), ["resize"]), example)
    assert count_macs(lower(network(TINY), [form]), example) == matmul


def test_a_copy_without_values_holds_no_memory_and_leaves_the_module_alone() -> None:
    plain = network(TINY)
    shapes = without_values(plain)
    assert {tensor.device.type for tensor in shapes.state_dict().values()} == {"meta"}
    assert {tensor.device.type for tensor in plain.state_dict().values()} == {"cpu"}
    assert isinstance(shapes.encoder.position.cls_token, nn.Parameter)


def test_a_network_is_built_without_values_for_any_model() -> None:
    built = build_without_values(model_named("vits"))
    assert {tensor.device.type for tensor in built.state_dict().values()} == {"meta"}
    assert built.state_dict().keys() == untrained(CONFIGS["vits"]).state_dict().keys()
    assert untrained(TINY).encoder.norm.weight.device.type == "cpu"  # nothing is left behind
