"""A traced program is looked at: nothing but compiled sub-graphs may be in it."""

from __future__ import annotations

import importlib

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compile.errors import BuildError
from compile.neuron.graph import check_on_chip, modules_of, unsupported
from compile.trace import trace
from tests.support.neuron_standin import Standin, example, needs_torch_1_13, small, standin_fixture

__all__ = ["standin_fixture"]


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.GELU(), nn.ReLU()) for _ in range(8)])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return F.relu(x)


class Same(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def test_the_check_names_operators_on_the_cpu_with_their_modules() -> None:
    program = trace(Deep(), example())
    with pytest.raises(BuildError) as caught:
        check_on_chip(program, program, "8 of 17 were compiled")
    said = str(caught.value)
    gelus = ", ".join(f"blocks.{i}.0" for i in range(6))
    relus = ", ".join(f"blocks.{i}.1" for i in range(6))
    assert f"8 aten::gelu in {gelus} and 2 more; 9 aten::relu in {relus} and 3 more" in said
    assert "(8 of 17 were compiled)" in said


def test_if_only_some_are_left_it_says_so() -> None:
    program = trace(nn.ReLU(), example())
    with pytest.raises(BuildError, match="1 aten::relu of 9 in blocks.0.1"):
        check_on_chip(program, trace(Deep(), example()), None)


def test_an_operator_that_the_network_does_not_hold() -> None:
    program = trace(nn.Sigmoid(), example())
    with pytest.raises(BuildError, match="1 aten::sigmoid, which the network itself does not"):
        check_on_chip(program, trace(Deep(), example()), None)


def listed(x: Tensor) -> Tensor:
    values = [x]
    values.append(x)
    values.extend([x])
    return values[1]


def test_the_check_refuses_a_program_without_a_compiled_subgraph() -> None:
    traced = trace(Same(), example())
    with pytest.raises(BuildError, match="holds no compiled sub-graph"):
        check_on_chip(traced, traced, None)


def test_what_only_packs_lists_is_not_held_against_a_program() -> None:
    program = torch.jit.script(listed)
    assert "aten::append" in str(program.graph)
    with pytest.raises(BuildError, match="holds no compiled sub-graph"):
        check_on_chip(program, trace(Same(), example()), None)


@needs_torch_1_13
def test_a_good_program_passes_unless_the_log_speaks_against_it(standin: Standin) -> None:
    program = importlib.import_module("torch_neuron").trace(small(), example())
    assert len(standin.calls()) == 1
    check_on_chip(program, trace(small(), example()), None)
    with pytest.raises(BuildError, match="compile log says .*: 2 of 3 operators were compiled"):
        check_on_chip(program, trace(small(), example()), "2 of 3 operators were compiled")


def test_the_list_names_operators_that_it_does_not_have() -> None:
    traced = trace(Deep(), example())
    assert unsupported(traced, frozenset({"aten::gelu", "aten::relu"})) == ""
    assert unsupported(traced, frozenset({"aten::relu"})).startswith("8 aten::gelu in blocks.0.0, ")
    assert modules_of(traced)["aten::relu"][-1] == "the whole network"
