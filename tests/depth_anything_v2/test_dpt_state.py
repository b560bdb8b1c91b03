"""A call leaves nothing behind, and weights answer at once, whatever door they came by."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import pytest
import torch
from torch import Tensor, nn

from depth.errors import InputError
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.dpt import UNUSED, DepthAnythingV2
from tests.support.models import to_upstream, weights

SIZES = [(28, 42), (42, 28), (56, 56), (14, 70)]  # (height, width) px
CALLS, THREADS = 200, 8


def drop_in(seed: int) -> DepthAnythingV2:
    """With weights of its own, the position embedding among them."""
    torch.manual_seed(seed)
    made = DepthAnythingV2("demo", 32, [24, 48, 96, 192])
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return made.eval()


def image(size: tuple[int, int]) -> Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(size[0]))


def depth(model: nn.Module, size: tuple[int, int] = SIZES[0]) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(image(size))
    return found


def test_calls_from_threads_at_mixed_sizes_are_the_calls_alone() -> None:
    model = drop_in(0)
    alone = {size: depth(model, size) for size in SIZES}
    assert len({found.std().item() for found in alone.values()}) == len(SIZES)
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(lambda n: depth(model, SIZES[n % len(SIZES)]), range(CALLS)))
    assert all(torch.equal(one, alone[SIZES[n % len(SIZES)]]) for n, one in enumerate(found))


def test_a_call_changes_nothing_on_the_object() -> None:
    model = drop_in(0)
    modules = [model.network, *model.modules()]
    before = [dict(vars(module)) for module in modules]
    depth(model)
    for module, values in zip(modules, before):
        assert vars(module).keys() == values.keys()
        assert all(vars(module)[name] is value for name, value in values.items())


def as_part_of_a_module(model: DepthAnythingV2, trained: DepthAnythingV2) -> None:
    nn.ModuleDict({"depth": model}).load_state_dict(nn.ModuleDict({"depth": trained}).state_dict())


def by_its_own_method(model: DepthAnythingV2, trained: DepthAnythingV2) -> None:
    model.load_state_dict(trained.state_dict())


def in_place(model: DepthAnythingV2, trained: DepthAnythingV2) -> None:
    with torch.no_grad():
        for mine, other in zip(model.parameters(), trained.parameters()):
            mine.copy_(other)


def as_data(model: DepthAnythingV2, trained: DepthAnythingV2) -> None:
    for mine, other in zip(model.parameters(), trained.parameters()):
        mine.data = other.data.clone()


def as_an_average(model: DepthAnythingV2, trained: DepthAnythingV2) -> None:
    with torch.no_grad():
        for mine, other in zip(model.parameters(), trained.parameters()):
            mine.lerp_(other, 1.0)


@pytest.mark.parametrize(
    "door", [by_its_own_method, as_part_of_a_module, in_place, as_data, as_an_average]
)
def test_weights_answer_at_once(door: Callable[[DepthAnythingV2, DepthAnythingV2], None]) -> None:
    model, trained = drop_in(1), drop_in(2)
    expected = depth(trained)
    assert not torch.allclose(depth(model), expected)
    door(model, trained)
    assert torch.equal(depth(model), expected)


@pytest.mark.parametrize("door", [by_its_own_method, as_part_of_a_module])
def test_loaded_weights_take_effect_at_a_fixed_size(
    door: Callable[[DepthAnythingV2, DepthAnythingV2], None],
) -> None:
    model, trained = drop_in(1), drop_in(2)
    expected = depth(trained)
    model.network.fix_size(*SIZES[0])
    trained.network.fix_size(*SIZES[2])
    door(model, trained)
    assert torch.equal(depth(model), expected)
    with pytest.raises(InputError, match="images of 42x28 px: the network is fixed at 28x42"):
        depth(model, SIZES[1])


def test_fixing_a_size_again_takes_weights_that_were_written_to() -> None:
    model, trained = drop_in(1), drop_in(2)
    model.network.fix_size(*SIZES[0])
    in_place(model, trained)
    model.network.fix_size(*SIZES[0])
    assert torch.equal(depth(model), depth(trained))


def test_position_embedding_and_class_token_get_gradients() -> None:
    model = drop_in(0).train()
    model(image(SIZES[0])).sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    without = {name for name, gradient in gradients.items() if gradient is None}
    assert without == set(UNUSED)
    for name in ("pos_embed", "cls_token"):
        gradient = gradients[f"pretrained.{name}"]
        assert gradient is not None
        assert gradient.abs().max() > 0


def test_upstreams_weights_load_as_part_of_a_module() -> None:
    state = to_upstream(weights(CONFIGS["demo"]))
    model, alone = drop_in(1), drop_in(2)
    alone.load_state_dict(state)
    outer = nn.ModuleDict({"depth": model, "other": nn.Linear(2, 2)})
    theirs = {f"depth.{name}": tensor for name, tensor in state.items()}
    rest = {k: v for k, v in outer.state_dict().items() if k.startswith("other.")}
    outer.load_state_dict({**theirs, **rest})
    assert torch.equal(depth(model), depth(alone))
    del theirs["depth.pretrained.norm.bias"]
    with pytest.raises(RuntimeError, match=r"depth\.pretrained\.encoder\.norm\.bias"):
        outer.load_state_dict({**theirs, **rest})
    theirs["depth.pretrained.norm.bias"] = torch.zeros(1, dtype=torch.int32)
    with pytest.raises(RuntimeError, match="expected dense floating-point numbers"):
        outer.load_state_dict({**theirs, **rest})


def test_upstreams_attributes() -> None:
    model = DepthAnythingV2("demo", 32, [24, 48, 96, 192], max_depth=20.0)
    assert (model.encoder, model.max_depth) == ("demo", 20.0)
    assert model.intermediate_layer_idx["vits"] == [2, 5, 8, 11]
    assert model.intermediate_layer_idx["vitl"] == [4, 11, 17, 23]
    count = sum(
        p.numel() for part in (model.pretrained, model.depth_head) for p in part.parameters()
    )
    assert count == sum(parameter.numel() for parameter in model.parameters())


def test_a_copy_stands_alone() -> None:
    model = drop_in(1)
    model.network.fix_size(*SIZES[0])
    twin = copy.deepcopy(model)
    expected = depth(model)
    in_place(model, drop_in(2))
    assert torch.equal(depth(twin), expected)
    by_its_own_method(twin, model)
    model.network.fix_size(*SIZES[0])
    assert torch.equal(depth(twin), depth(model))
