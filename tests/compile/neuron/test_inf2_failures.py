"""Every way in which a build for Inf2 fails, provoked through the stand-in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compile.errors import BuildError, CompilerError, HostError
from compile.neuron import inf2
from tests.support.neuron_standin import (
    IS_1_13,
    Standin,
    build_one,
    build_programs,
    example,
    lowered,
    pretend_installed,
    read_record,
    small,
)
from tests.support.neuronx_standin import GOOD_INF2, needs_torch_2, neuronx_fixture

__all__ = ["neuronx_fixture"]
PRECISION = "matmult-bf16"


class Resize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, size=(56, 84), mode="bilinear", align_corners=True)


class Resized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.resize = Resize()

    def forward(self, images: Tensor) -> Tensor:
        return F.relu(self.resize(images)).sum(1)


def build(neuronx: Standin, stem: Path, made: nn.Module, precision: str = PRECISION) -> None:
    build_one(inf2.BUILDER, made.eval(), example(), stem, precision, neuronx.settings)


@needs_torch_2
def test_an_unsupported_operator_is_named_with_its_module_and_not_tried_again(
    neuronx: Standin, tmp_path: Path
) -> None:
    with pytest.raises(BuildError, match="support 1 aten::upsample_bilinear2d in resize; lower"):
        build(neuronx, tmp_path / "a", Resized())
    assert len(neuronx.calls()) == 1
    assert not list(tmp_path.glob("a.*"))


@needs_torch_2
def test_a_shape_that_depends_on_values_is_named_too(neuronx: Standin, tmp_path: Path) -> None:
    class Found(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.nonzero(F.relu(images)).float()

    with pytest.raises(BuildError, match="support 1 aten::nonzero in the whole network"):
        build(neuronx, tmp_path / "a", Found())


@needs_torch_2
def test_a_refusal_that_no_rule_foresees_is_told_in_the_compilers_words(
    neuronx: Standin, tmp_path: Path
) -> None:
    neuronx.behave("refuse")
    with pytest.raises(
        BuildError, match=r"refuses the program: \[NCC_EVRF029\] Operation sort"
    ) as e:
        build(neuronx, tmp_path / "a", small())
    assert not isinstance(e.value, CompilerError)
    assert "the compiler's files are in" in str(e.value)
    assert len(neuronx.calls()) == 1


@needs_torch_2
@pytest.mark.parametrize(
    ("word", "cause", "says"),
    [
        ("kill", "memory", "signal 9, as the kernel does when memory runs out"),
        ("abort", "crash", "the compiler aborted"),
        ("error", "crash", "ended with code 70: Too many partitions; .*files are in"),
        ("large", "crash", r"code 70: \[NCC_EOOM001\] Maximum peak HBM usage of 32.00GB"),
    ],
)
def test_a_compiler_that_dies_is_tried_with_fewer_optimisations(
    neuronx: Standin, tmp_path: Path, word: str, cause: str, says: str
) -> None:
    neuronx.behave(word)
    build(neuronx, tmp_path / "a", small())
    record = read_record(tmp_path / "a")
    assert record.fallback == "fewer optimisations (--optlevel 1)"
    (attempt,) = record.attempts
    assert (attempt.fallback, attempt.cause) == ("as asked", cause)
    assert re.search(says, attempt.error)
    assert ["--optlevel" in call for call in neuronx.calls()] == [False, True]


@needs_torch_2
def test_encoder_and_decoder_apart_come_next(neuronx: Standin, tmp_path: Path) -> None:
    neuronx.behave("large", "large")
    built = build_programs(inf2.BUILDER, lowered(), tmp_path, PRECISION, neuronx.settings)
    assert [one.stage.name for one in built] == ["encoder", "decoder"]
    assert {one.record.fallback for one in built if one.record} == {"stages apart"}


@needs_torch_2
def test_a_compiler_that_always_dies_fails_with_every_attempt_told(
    neuronx: Standin, tmp_path: Path
) -> None:
    neuronx.behave("kill", "abort")
    with pytest.raises(CompilerError) as caught:
        build(neuronx, tmp_path / "a", small())
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == [
        "- as asked",
        "- fewer optimisations (--optlevel 1)",
    ]
    assert not list(tmp_path.glob("a.*"))


@needs_torch_2
def test_a_slow_compiler_is_ended_at_its_time_limit(neuronx: Standin, tmp_path: Path) -> None:
    neuronx.settings = replace(neuronx.settings, timeout_s=0.3)
    neuronx.behave("slow", "slow")
    with pytest.raises(CompilerError, match="the compiler was ended at its time limit") as caught:
        build(neuronx, tmp_path / "a", small())
    assert caught.value.cause == "time"


@needs_torch_2
def test_a_compiler_over_the_memory_limit_is_ended(neuronx: Standin, tmp_path: Path) -> None:
    neuronx.settings = replace(neuronx.settings, memory_limit_bytes=200 << 20)
    neuronx.behave("grow")
    build(neuronx, tmp_path / "a", small())
    (attempt,) = read_record(tmp_path / "a").attempts
    assert attempt.cause == "memory"
    assert "over its limit of 0.21 GB" in attempt.error


@needs_torch_2
def test_arguments_that_the_compiler_does_not_know_fail_the_build(
    neuronx: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an update of the compiler."""
    monkeypatch.setattr(inf2, "_TARGET", ("--target", "inf9"))
    with pytest.raises(CompilerError, match="ended with code 2"):
        build(neuronx, tmp_path / "a", small())


@needs_torch_2
def test_other_input_than_float32_is_refused_at_once(neuronx: Standin, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="the example is float64.*convert it"):
        build_one(
            inf2.BUILDER, small(), example().double(), tmp_path / "a", PRECISION, neuronx.settings
        )
    assert neuronx.calls() == []


@pytest.mark.parametrize(
    ("packages", "says"),
    [
        ({"torch": "2.8.0"}, "- torch is 2.8.0, but torch-neuronx 2.7.0.2.10.16998 is built for "),
        ({"torch-neuronx": "2.5.1.2.6.0"}, "- torch-neuronx is 2.5.1.2.6.0, needed is at least 2"),
        ({"protobuf": "3.19.5"}, "- protobuf is 3.19.5, needed is at least 3.20"),
        ({"neuronx-cc": "1.24"}, "- neuronx-cc is 1.24, needed is at least 2"),
    ],
)
def test_a_wrong_host_is_told_before_anything_else(
    neuronx: Standin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    packages: dict[str, str],
    says: str,
) -> None:
    pretend_installed(monkeypatch, tmp_path / "wrong", {**GOOD_INF2, **packages})
    with pytest.raises(HostError, match="cannot compile for inf2") as caught:
        build(neuronx, tmp_path / "a", nn.Identity())
    assert says in str(caught.value)


@pytest.mark.skipif(not IS_1_13, reason="this torch is one that torch-neuronx takes")
def test_an_import_that_fails_although_the_metadata_is_right(
    neuronx: Standin, tmp_path: Path
) -> None:
    with pytest.raises(HostError, match="torch_neuronx cannot be imported: .*undefined symbol"):
        build(neuronx, tmp_path / "a", small())
