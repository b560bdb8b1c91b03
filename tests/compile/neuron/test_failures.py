"""Every way in which a build for a device fails on both targets, provoked through the stand-ins."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

import pytest
from torch import nn

from compile.errors import BuildError, CompilerError, HostError
from compile.neuron.program import CompileOrder, compile_program
from tests.support.neuron_standin import (
    example,
    lowered,
    needs_torch_1_13,
    needs_torch_2,
    part,
    pretend_installed,
    small,
)
from tests.support.neuron_targets import PRECISION, Resized, Target, record_of, rows, target_fixture

__all__ = ["target_fixture"]
KILLED = "signal 9, as the kernel does when memory runs out"


@rows("target, mode, calls", [("inf1", "bicubic", 0), ("inf2", "bilinear", 1)])
def test_a_build_names_an_unsupported_operator_with_its_module_and_stops(
    target: Target, tmp_path: Path, mode: str, calls: int
) -> None:
    with pytest.raises(BuildError, match=f"support 1 aten::upsample_{mode}2d in resize; lower"):
        target.build(Resized(mode))
    assert len(target.calls()) == calls
    assert not list(tmp_path.glob("a.*"))


@rows(
    "target, word, cause, says",
    [
        ("inf1", "kill", "memory", KILLED),
        ("inf1", "abort", "crash", "the compiler aborted"),
        ("inf1", "error", "crash", "with code 1: should not have any PF conflict; .*files are in"),
        ("inf1", "index", "layout", "with code 1: list index out of range; "),
        ("inf1", "instructions", "size", "code 1: Compiler generated too many instructions, this"),
        ("inf1", "bound", "size", r"the compiler aborted: Access pattern out of bound\.; "),
        ("inf1", "partition", "crash", "aborted: Access pattern did not start at parition 0 or 64"),
        ("inf2", "kill", "memory", KILLED),
        ("inf2", "abort", "crash", "the compiler aborted"),
        ("inf2", "error", "crash", "ended with code 70: Too many partitions; .*files are in"),
        ("inf2", "large", "size", r"code 70: \[NCC_EOOM001\] Maximum peak HBM usage of 32.00GB"),
        ("inf2", "instructions", "size", r"code 70: \[XTP002\] Number of instructions \(8658944"),
        ("inf2", "unroll", "size", "code 70: Too many instructions after unroll!; "),
        ("inf2", "bound", "size", r"code 70: Access pattern out of bound\.; "),
    ],
)
def test_a_build_tries_something_easier_if_the_compiler_dies(
    target: Target, word: str, cause: str, says: str
) -> None:
    target.behave(word)
    record = record_of(target.build(small()))
    assert record.fallback == target.facts.easier[0]
    (attempt,) = record.attempts
    assert (attempt.fallback, attempt.cause) == ("as asked", cause)
    assert re.search(says, attempt.error)
    assert "because the compiler died: as asked" in record.warnings[0]
    first, second = (call[call.index("--output") :] for call in target.calls())
    assert first != second


@rows("target, word", [("inf1", "bound"), ("inf1", "instructions"), ("inf2", "unroll")])
def test_a_program_that_is_too_large_is_compiled_in_its_stages(target: Target, word: str) -> None:
    target.behave(word)
    built = target.build_programs(lowered())
    assert [one.stage.name for one in built] == ["encoder", "decoder"]
    assert {record_of(one).fallback for one in built} == {"stages apart"}
    assert {record_of(one).precision for one in built} == {PRECISION}


@rows("target, word", [("inf1", "bound"), ("inf2", "unroll")])
def test_both_streams_of_the_compiler_are_kept_and_off_the_terminal(
    target: Target, word: str, capfd: pytest.CaptureFixture[str]
) -> None:
    target.behave(word)
    (attempt,) = record_of(target.build(small())).attempts
    printed = capfd.readouterr()
    work = Path(attempt.error.rpartition("files are in ")[2])
    assert "....." in (work / "compiler.out").read_text()
    cause = {"bound": "Access pattern", "unroll": "Too many instructions"}[word]
    assert cause in (work / "compiler.err").read_text()
    assert printed == ("", "")


def test_the_last_line_on_stderr_stands_for_a_cause_without_a_name(target: Target) -> None:
    with pytest.raises(CompilerError, match="neuronx?-cc: error: .*; the compiler's files are in"):
        compile_program(
            target.facts.builder,
            part(small(), example()),
            target.folder / "a.pt",
            PRECISION,
            ("--opt-level", "0"),
            target.settings,
        )


def test_a_compiler_that_the_kernel_ended_needs_a_larger_compile_host(target: Target) -> None:
    target.behave("kill")
    (attempt,) = record_of(target.build(small())).attempts
    assert "AWS names c5.4xlarge, which has 32 GB" in attempt.error


def test_a_compiler_that_always_dies_fails_with_every_attempt_in_the_message(
    target: Target, tmp_path: Path
) -> None:
    target.behave("kill", "error", "abort", "error")
    with pytest.raises(CompilerError) as caught:
        target.build(small())
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == [
        "- as asked",
        *(f"- {name}" for name in target.facts.easier),
    ]
    assert not list(tmp_path.glob("a.*"))


@rows(
    "target, says",
    [("inf1", r"ran for more than 0\.4 s"), ("inf2", "the compiler was ended at its time limit")],
)
def test_the_watchdog_ends_a_slow_compiler_at_its_time_limit(target: Target, says: str) -> None:
    target.settings = replace(target.settings, timeout_s=0.4)
    target.behave(*["slow"] * 4)
    with pytest.raises(CompilerError, match=says) as caught:
        target.build(small())
    assert caught.value.cause == "time"


def test_only_the_last_try_has_the_whole_time_limit(target: Target) -> None:
    limits_s = []

    def trace(order: CompileOrder) -> Any:
        limits_s.append(order.timeout_s)
        raise SubprocessError("neuron-cc failed with the following command line call:")

    maker = replace(target.facts.builder, trace=trace)
    target.facts = replace(target.facts, builder=maker)
    with pytest.raises(CompilerError, match="died on every attempt"):
        target.build(small())
    assert limits_s == [30.0] * len(target.facts.easier) + [60.0]


@rows("target", [("inf1",)])
def test_nothing_that_could_be_fused_fails_the_build(target: Target) -> None:
    """The SDK gives a CPU trace, with a warning in its log and without an exception."""
    with pytest.raises(BuildError, match="on the CPU at every image: 1 aten::relu"):
        target.build(nn.ReLU())
    assert target.calls() == []


def test_the_watchdog_ends_a_compiler_over_its_memory_with_its_children(
    target: Target,
) -> None:
    target.settings = replace(target.settings, memory_limit_bytes=200 << 20)
    target.behave("grow")
    (attempt,) = record_of(target.build(small())).attempts
    assert attempt.cause == "memory"
    assert "was ended when it held" in attempt.error
    assert "over its limit of 0.21 GB" in attempt.error
    assert not running_with(str(target.control))


def running_with(text: str) -> list[str]:
    """Processes with this text in their environment; not this one, which began without it."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if text.encode() in environment.read_bytes():
                found.append(environment.parent.name)
    return found


def test_a_build_refuses_other_input_than_float32_at_once(target: Target) -> None:
    with pytest.raises(BuildError, match="the example is float64.*convert it"):
        target.build(small(), given=example().double())
    assert target.calls() == []


@pytest.mark.parametrize(
    ("target", "packages", "says"),
    [
        ("inf1", {"torch": "2.8.0", "numpy": "2.0.2"}, r"torch is 2\.8\.0.*- numpy is 2\.0\.2"),
        ("inf2", {"torch": "2.8.0"}, "torch is 2.8.0, but torch-neuronx 2.7.0.2.10.16998 is built"),
        ("inf2", {"torch-neuronx": "2.5.1.2.6.0"}, "torch-neuronx is 2.5.1.2.6.0, needed is at le"),
        ("inf2", {"protobuf": "3.19.5"}, "protobuf is 3.19.5, needed is at least 3.20"),
        ("inf2", {"neuronx-cc": "1.24"}, "neuronx-cc is 1.24, needed is at least 2"),
    ],
    indirect=["target"],
)
def test_a_wrong_host_fails_before_anything_else(
    target: Target, tmp_path: Path, packages: dict[str, str], says: str
) -> None:
    """In every environment: this comes before the import of an SDK."""
    pretend_installed(target.monkeypatch, tmp_path / "wrong", packages)
    name = target.facts.builder.target
    with pytest.raises(HostError, match=f"(?s)cannot compile for {name}.*- {says}"):
        target.build(nn.Identity())


@pytest.mark.parametrize(
    ("target", "error", "says"),
    [
        pytest.param("inf1", RuntimeError, r"Invalid dependency .*torch==2\.", marks=needs_torch_2),
        pytest.param("inf2", ImportError, "symbol, with torch 1.13.1", marks=needs_torch_1_13),
    ],
    indirect=["target"],
)
def test_an_import_that_fails_although_the_metadata_is_right(
    target: Target, error: type[Exception], says: str
) -> None:
    """Each SDK's stand-in refuses the torch of the other, and the build says so."""
    with pytest.raises(HostError, match=f"torch_neuronx? cannot be imported: .*{says}") as caught:
        target.build(small())
    assert type(caught.value.__cause__) is error
