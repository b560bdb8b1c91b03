"""Warm start of both device targets: what is taken from the cache of programs, and what is not."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from compile.lowering.passes import lower, with_variants
from compile.targets.table import NEURON_PASSES
from tests.support.networks import TINY, network
from tests.support.neuron_standin import SMALL, example, lowered, pretend_installed, small
from tests.support.neuron_targets import Target, record_of, target_fixture

pytestmark = pytest.mark.long

__all__ = ["target_fixture"]


def calls_after(target: Target, name: str, made: nn.Module, **changes: Any) -> int:
    """How often the compiler has run in all, once this is built too."""
    target.build(made, name, **changes)
    return len(target.calls())


def test_a_second_build_takes_the_program_from_the_cache(target: Target, tmp_path: Path) -> None:
    first = record_of(target.build(lowered(), "a"))
    second = record_of(target.build(deepcopy(lowered()), "b"))
    assert len(target.calls()) == 1
    assert (tmp_path / "b.pt").read_bytes() == (tmp_path / "a.pt").read_bytes()
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.subgraphs == first.subgraphs


def test_another_precision_batch_or_weight_compiles_anew(target: Target) -> None:
    other = small()
    other.weight += 1  # type: ignore[operator]
    assert calls_after(target, "a", small()) == 1
    # On Inf1 the same arguments for the compiler, another program.
    assert calls_after(target, "a", small(), precision=target.facts.other_precision) == 2
    assert calls_after(target, "a", small(), given=example(2)) == 3
    assert calls_after(target, "a", other) == 4
    assert calls_after(target, "a", small()) == 4


def test_another_compiler_compiles_anew(target: Target, tmp_path: Path) -> None:
    assert calls_after(target, "a", small()) == 1
    pretend_installed(target.monkeypatch, tmp_path / "newer", target.facts.newer)
    assert calls_after(target, "a", small()) == 2


def test_a_pass_that_changes_no_weight_compiles_anew(target: Target) -> None:
    sliced = lower(network(TINY, SMALL), with_variants(NEURON_PASSES, ["attention_blocks=2"]))
    weights = {name: tensor.shape for name, tensor in sliced.state_dict().items()}
    assert weights == {name: tensor.shape for name, tensor in lowered().state_dict().items()}
    assert calls_after(target, "a", lowered()) == 1
    assert calls_after(target, "a", sliced) == 2
