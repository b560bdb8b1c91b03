"""Every way in which a build for Inf1 fails, provoked through the stand-in."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compile.errors import BuildError, CompilerError, HostError
from compile.neuron import inf1
from tests.support.neuron_standin import (
    IS_1_13,
    Standin,
    build_one,
    example,
    needs_torch_1_13,
    pretend_installed,
    read_record,
    small,
    standin_fixture,
)

__all__ = ["standin_fixture"]
PRECISION = "matmult-fp16"


class Resize(nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, size=(56, 84), mode=self.mode, align_corners=True)


class Resized(nn.Module):
    """Something the chip can do, a resize that it cannot, and something that it can."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.resize = Resize(mode)

    def forward(self, images: Tensor) -> Tensor:
        x = self.resize(F.relu(images * 2.0))
        return F.relu(x * 3.0).sum(1)


def build(standin: Standin, stem: Path, made: nn.Module) -> None:
    build_one(inf1.BUILDER, made.eval(), example(), stem, PRECISION, standin.settings)


@needs_torch_1_13
def test_an_unsupported_operator_is_named_with_its_module(standin: Standin, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="support 1 aten::upsample_bicubic2d in resize; lower"):
        build(standin, tmp_path / "a", Resized("bicubic"))
    assert standin.calls() == []


@needs_torch_1_13
def test_a_listed_operator_that_is_refused_all_the_same(standin: Standin, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="align_corners=True is not yet implemented.*preflight"):
        build(standin, tmp_path / "a", Resized("bilinear"))


@needs_torch_1_13
def test_an_operator_left_behind_without_a_word_fails_the_build(
    standin: Standin, tmp_path: Path
) -> None:
    standin.swallow()
    with pytest.raises(
        BuildError, match="on the CPU at every image: 1 aten::upsample_bicubic2d in res"
    ):
        build(standin, tmp_path / "a", Resized("bicubic"))
    assert not list(tmp_path.glob("a.*"))


@needs_torch_1_13
def test_a_swallowed_compiler_failure_fails_the_build(standin: Standin, tmp_path: Path) -> None:
    standin.swallow()
    standin.behave("ok", "error", "ok", "error", "ok", "error")
    with pytest.raises(CompilerError, match=r"_NeuronGraph\$\d+ fell back to the CPU") as caught:
        build(standin, tmp_path / "a", Resized("bicubic"))
    assert caught.value.cause == "crash"


@needs_torch_1_13
@pytest.mark.parametrize(
    ("word", "cause", "says"),
    [
        ("kill", "memory", "signal 9, as the kernel does when memory runs out"),
        ("abort", "crash", "the compiler aborted"),
        ("error", "crash", "ended with code 1: should not have any PF conflict; .*files are in"),
    ],
)
def test_a_compiler_that_dies_is_tried_with_fewer_optimisations(
    standin: Standin, tmp_path: Path, word: str, cause: str, says: str
) -> None:
    standin.behave(word)
    build(standin, tmp_path / "a", small())
    record = read_record(tmp_path / "a")
    assert record.fallback == "fewer optimisations (-O 0)"
    (attempt,) = record.attempts
    assert (attempt.fallback, attempt.cause) == ("as asked", cause)
    assert re.search(says, attempt.error)
    assert "because the compiler died: as asked" in record.warnings[0]
    assert [call[-2:] == ["-O", "0"] for call in standin.calls()] == [False, True]


@needs_torch_1_13
def test_a_compiler_that_always_dies_fails_with_every_attempt_told(
    standin: Standin, tmp_path: Path
) -> None:
    standin.behave("kill", "error", "abort")
    with pytest.raises(CompilerError) as caught:
        build(standin, tmp_path / "a", small())
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == [
        "- as asked",
        "- fewer optimisations (-O 0)",
        "- fewer optimisations (-O legacy)",
    ]
    assert not list(tmp_path.glob("a.*"))


@needs_torch_1_13
def test_a_slow_compiler_is_ended_at_its_time_limit(standin: Standin, tmp_path: Path) -> None:
    standin.settings = replace(standin.settings, timeout_s=0.4)
    standin.behave("slow", "slow", "slow")
    with pytest.raises(CompilerError, match=r"ran for more than 0\.4 s") as caught:
        build(standin, tmp_path / "a", small())
    assert caught.value.cause == "time"


@needs_torch_1_13
def test_a_compiler_over_the_memory_limit_is_ended_with_its_children(
    standin: Standin, tmp_path: Path
) -> None:
    standin.settings = replace(standin.settings, memory_limit_bytes=200 << 20)
    standin.behave("grow")
    build(standin, tmp_path / "a", small())
    (attempt,) = read_record(tmp_path / "a").attempts
    assert attempt.cause == "memory"
    assert "was ended when it held" in attempt.error
    assert "over its limit of 0.21 GB" in attempt.error
    assert not running_with(str(standin.control))


def running_with(text: str) -> list[str]:
    """Processes with this text in their environment; not this one, which began without it."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if text.encode() in environment.read_bytes():
                found.append(environment.parent.name)
    return found


@needs_torch_1_13
def test_spills_are_a_warning_of_the_record(standin: Standin, tmp_path: Path) -> None:
    standin.behave("spills")
    build(standin, tmp_path / "a", small())
    (warning,) = read_record(tmp_path / "a").warnings
    assert "sub-graph 0: too many spills" in warning


@needs_torch_1_13
def test_other_input_than_float32_is_refused_at_once(standin: Standin, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="the example is float64.*convert it"):
        build_one(
            inf1.BUILDER, small(), example().double(), tmp_path / "a", PRECISION, standin.settings
        )


@needs_torch_1_13
def test_an_output_that_the_sdk_refuses_is_told_in_one_line(
    standin: Standin, tmp_path: Path
) -> None:
    class Index(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.argmax(1)

    with pytest.raises(BuildError, match="cannot be compiled: ValueError: Unsupported dtype"):
        build(standin, tmp_path / "a", Index())


def test_a_wrong_host_is_told_before_anything_else(
    standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_installed(monkeypatch, tmp_path / "wrong", {"torch": "2.8.0", "numpy": "2.0.2"})
    with pytest.raises(HostError) as caught:
        build(standin, tmp_path / "a", nn.Identity())
    assert "- torch is 2.8.0" in str(caught.value)
    assert "- numpy is 2.0.2" in str(caught.value)


@pytest.mark.skipif(IS_1_13, reason="this torch is the one that torch-neuron takes")
def test_an_import_that_fails_although_the_metadata_is_right(
    standin: Standin, tmp_path: Path
) -> None:
    with pytest.raises(HostError, match="torch_neuron cannot be imported: Invalid dependency"):
        build(standin, tmp_path / "a", small())
    assert torch.__version__ != "1.13.1"
