"""What the stand-ins of both SDKs do alike, traps included; see also the file for each SDK."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest
import torch
from torch import nn

from tests.support.neuron_standin import PLATFORM, example, pictures, small
from tests.support.neuron_targets import Target, rows, target_fixture

__all__ = ["target_fixture"]
Trace = Callable[..., Any]


@pytest.fixture(name="sdk")
def sdk_fixture(target: Target, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(PLATFORM, "inf2")
    assert target.calls() == []
    return importlib.import_module(target.facts.sdk)


@pytest.fixture(name="trace")
def trace_fixture(target: Target, sdk: Any) -> Trace:
    """With what a machine without a chip needs, and without fallback."""

    def trace(module: nn.Module, images: torch.Tensor, **options: Any) -> Any:
        if target.facts.builder.target == "inf1":
            return sdk.trace(module, images, fallback=False, **options)
        arguments = "--target inf2 --logfile /dev/null"
        return sdk.trace(module, images, compiler_args=arguments, cpu_backend=True, **options)

    return trace


@contextmanager
def fails(code: int) -> Iterator[None]:
    """As each SDK does after a compiler that failed."""
    with pytest.raises((RuntimeError, subprocess.SubprocessError)) as caught:
        yield
    if isinstance(caught.value, RuntimeError):
        assert str(caught.value) == f"neuronx-cc failed with {code}"
    else:
        assert "neuron-cc failed with the following command line call" in str(caught.value)


@rows("target, raised", [("inf1", TypeError), ("inf2", UserWarning)])
def test_a_misspelt_keyword_raises_from_torch_or_is_a_warning_only(
    trace: Trace, raised: type[Exception]
) -> None:
    with pytest.raises(raised, match="falback"):
        trace(small(), example(), falback=False)


@rows("target", [("inf2",)])
def test_after_the_warning_the_trace_goes_on(trace: Trace) -> None:
    with pytest.warns(UserWarning, match="falback"):
        assert trace(small(), example(), falback=False)
    with pytest.raises(DeprecationWarning, match="Received 3 positional arguments but expected 2"):
        importlib.import_module("torch_neuronx").trace(small(), example(), {})


@rows(
    "target, word, code, says",
    [
        ("inf1", "abort", -6, "process aborted (SIG_ABORT)"),
        ("inf1", "kill", -9, "Compile command returned: -9"),
        ("inf1", "index", 1, "Compile command returned: 1"),
        ("inf1", "bound", -6, "process aborted (SIG_ABORT)"),
        ("inf2", "abort", -6, "process aborted (SIG_ABORT)"),
        ("inf2", "kill", -9, "was killed (SIG_KILL)"),
    ],
)
def test_how_the_compiler_ended_is_in_the_log(
    target: Target,
    trace: Trace,
    caplog: pytest.LogCaptureFixture,
    word: str,
    code: int,
    says: str,
) -> None:
    target.behave(word)
    with fails(code), caplog.at_level("INFO", "Neuron"):
        trace(small(), example())
    assert says in caplog.text


@rows(
    "target, word, code, says",
    [
        ("inf1", "error", 1, ""),
        ("inf1", "index", 1, r"\[neuron-cc\]: Error message:  list index out of range\n"),
        ("inf1", "instructions", 1, "Error message:  Compiler generated too many instructions, "),
        ("inf1", "bound", -6, r"=== BIR error ===\nReason: Access pattern out of bound\.\n"),
        ("inf1", "partition", -6, r"failed ===\nReason: Access pattern did not start at parition"),
        ("inf2", "error", 70, ""),
        ("inf2", "large", 70, ""),
        ("inf2", "instructions", 70, r"\[XTP002\] Number of instructions \(8658944\) is over the"),
        ("inf2", "unroll", 70, "Too many instructions after unroll!"),
        ("inf2", "bound", 70, r"\[NLA001\]  Unhandled .*\nReason: Access pattern out of bound"),
    ],
)
def test_a_cause_is_on_stderr_and_nothing_of_it_on_stdout(
    target: Target,
    trace: Trace,
    capfd: pytest.CaptureFixture[str],
    word: str,
    code: int,
    says: str,
) -> None:
    target.behave(word)
    with fails(code):
        trace(small(), example())
    out, err = capfd.readouterr()
    assert out.startswith(".....")
    assert "Reason" not in out
    assert re.search(says, err) if says else err == ""


def test_the_work_folder_holds_what_the_compiler_leaves(target: Target, trace: Trace) -> None:
    work = target.folder / "work"
    trace(small(), example(), compiler_workdir=str(work))
    left = {path.name for path in (work / "0" if (work / "0").exists() else work).iterdir()}
    assert (
        left
        >= {
            "inf1": {
                *("graph_def.pb", "graph_def.neff", "graph_def.neuron-cc.log", "all_metrics.csv"),
                *("info.json", "metrics.json", "neff.json", "sg00"),
            },
            "inf2": {"command.txt", "graph.neff", "model"},
        }[target.facts.builder.target]
    )


def test_a_program_has_one_shape_unless_its_batch_is_made_dynamic(
    target: Target, sdk: Any, trace: Trace
) -> None:
    program = trace(small(), example(2))
    target.plug_in()
    assert program(pictures(2)).shape == small()(pictures(2)).shape
    with pytest.raises(RuntimeError, match="Incorrect tensor shape|TorchScript interpreter"):
        program(pictures(3))
    if target.facts.builder.target == "inf1":
        program = trace(small(), example(2), dynamic_batch_size=True)
    else:
        assert sdk.dynamic_batch(program) is program
        with pytest.raises((RuntimeError, ValueError), match="a dimension other than 0 differs"):
            program(pictures(2, (42, 28)))
    assert torch.allclose(program(pictures(3)), small()(pictures(3)), rtol=0.05, atol=1.0)


def test_data_parallel_splits_the_batch_over_the_cores(
    target: Target, sdk: Any, trace: Trace
) -> None:
    target.plug_in()
    program = trace(small(), example())
    parallel = sdk.DataParallel(program)
    assert torch.equal(parallel(pictures(4))[:1], program(pictures(4)[:1]))
    parallel.disable_dynamic_batching()
    placement = sdk.experimental if target.facts.builder.target == "inf1" else sdk
    with placement.neuron_cores_context(start_nc=0, nc_count=1), placement.multicore_context():
        pass
    placement.set_multicore(program)
    cores = target.facts.cores
    with pytest.raises(ValueError, match=f"there are {cores}"):
        placement.set_neuron_cores(program, start_nc=1, nc_count=cores)
