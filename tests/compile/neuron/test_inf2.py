"""What only target `inf2` has: a platform to name, and a compiler that refuses whole graphs."""

from __future__ import annotations

import os

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compile.errors import BuildError, CompilerError
from compile.neuron import inf2
from tests.support.neuron_standin import PLATFORM, example, lowered, needs_torch_2, small
from tests.support.neuron_targets import Target, record_of, target_fixture

__all__ = ["target_fixture"]
pytestmark = [needs_torch_2, pytest.mark.parametrize("target", ["inf2"], indirect=True)]


def test_the_sdk_gets_the_platform_without_a_chip_and_finds_it_with_one(
    target: Target,
) -> None:
    target.plug_in()
    target.build(small())
    assert PLATFORM not in os.environ
    target.unplug()
    target.build(small(), "b", given=example(2))
    assert os.environ[PLATFORM] == "inf2"


def test_a_build_names_a_shape_that_depends_on_values(target: Target) -> None:
    class Found(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.nonzero(F.relu(images)).float()

    with pytest.raises(BuildError, match="support 1 aten::nonzero in the whole network"):
        target.build(Found())


def test_a_refusal_that_no_rule_foresees_is_told_in_the_compilers_words(target: Target) -> None:
    target.behave("refuse")
    with pytest.raises(
        BuildError, match=r"refuses the program: \[NCC_EVRF029\] Operation sort"
    ) as e:
        target.build(small())
    assert not isinstance(e.value, CompilerError)
    assert "the compiler's files are in" in str(e.value)
    assert len(target.calls()) == 1


def test_encoder_and_decoder_apart_come_next(target: Target) -> None:
    target.behave("large")
    built = target.build_programs(lowered())
    assert [one.stage.name for one in built] == ["encoder", "decoder"]
    assert {record_of(one).fallback for one in built} == {"stages apart"}


def test_arguments_that_the_compiler_does_not_know_fail_the_build(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an update of the compiler."""
    monkeypatch.setattr(inf2, "_TARGET", ("--target", "inf9"))
    with pytest.raises(CompilerError, match="ended with code 2"):
        target.build(small())
