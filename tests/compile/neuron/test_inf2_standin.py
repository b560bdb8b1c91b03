"""What only the stand-in for torch-neuronx has: the whole graph or an exception."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.networks import TINY, network
from tests.support.neuron_standin import (
    SMALL,
    Standin,
    example,
    needs_torch_2,
    neuronx_fixture,
    pictures,
    small,
)

__all__ = ["neuronx_fixture"]
pytestmark = needs_torch_2
Trace = Callable[..., Any]


@pytest.fixture(name="sdk")
def sdk_fixture(neuronx: Standin, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "inf2")
    assert neuronx.calls() == []
    return importlib.import_module("torch_neuronx")


@pytest.fixture(name="trace")
def trace_fixture(sdk: Any) -> Trace:
    """With what a machine without a chip needs."""

    def trace(module: nn.Module, images: Tensor, *arguments: str) -> Any:
        arguments = ("--target", "inf2", *arguments, "--logfile", "/dev/null")
        return sdk.trace(module.eval(), images, compiler_args=list(arguments), cpu_backend=True)

    return trace


def test_the_whole_graph_becomes_one_operator(trace: Trace, neuronx: Standin) -> None:
    program = trace(small(), example())
    kinds = [node.kind() for node in program.inlined_graph.nodes()]
    assert kinds.count("neuron::forward_v2") == 1
    assert not [kind for kind in kinds if kind.startswith("aten::")]
    (call,) = neuronx.calls()
    assert call[2:6] == ["--framework", "XLA", "--target", "trn1"]  # the last --target counts
    assert call[-4:-2] == ["--target", "inf2"]


def test_without_a_chip_the_standin_needs_the_platform(
    sdk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match="Neuron Runtime could not be initialized"):
        sdk.trace(small(), example(), compiler_args="--target inf2")
    with pytest.raises(RuntimeError, match="please supply compiler argument target"):
        sdk.trace(small(), example(), cpu_backend=True)
    monkeypatch.delenv("NEURON_PLATFORM_TARGET_OVERRIDE")
    with pytest.raises(RuntimeError, match="please supply compiler argument target"):
        sdk.trace(small(), example(), compiler_args="--target inf2", cpu_backend=True)


def test_a_bilinear_resize_has_no_call_that_the_compiler_knows(
    trace: Trace, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError, match="neuronx-cc failed with 70"):
        trace(network(TINY, SMALL), example())
    assert "Unsupported CustomCall target: ResizeBilinear" in capfd.readouterr().out


def test_a_shape_that_depends_on_values_is_no_graph(trace: Trace) -> None:
    class Found(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.nonzero(F.relu(x))

    with pytest.raises(RuntimeError, match="aten::nonzero depends on its values"):
        trace(Found(), example())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--fast-math", "all"), "unrecognized arguments: --fast-math"),
        (("--auto-cast", "fp16"), "argument --auto-cast: invalid choice"),
        (("--optlevel", "0"), "argument --optlevel: invalid choice"),
        (("--target", "inf1"), "argument --target: invalid choice"),
    ],
)
def test_the_compiler_takes_only_its_own_arguments(
    trace: Trace, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(RuntimeError, match="neuronx-cc failed with 2"):
        trace(small(), example(), *arguments)
    assert f"neuronx-cc: error: {says}" in capfd.readouterr().err


def test_the_log_lies_in_the_current_folder_unless_told(
    sdk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    work = str(tmp_path / "work")
    arguments = "--target inf2"  # a string will do
    sdk.trace(small(), example(), compiler_workdir=work, compiler_args=arguments, cpu_backend=True)
    assert (tmp_path / "log-neuron-cc.txt").is_file()
    left = {path.name for path in (tmp_path / "work").iterdir()}
    assert left == {"command.txt", "graph.neff", "model"}


def test_a_program_neither_runs_nor_loads_without_a_chip(
    sdk: Any, trace: Trace, neuronx: Standin, tmp_path: Path
) -> None:
    program, file = trace(small(), example()), str(tmp_path / "a.pt")
    program.save(file)
    with pytest.raises(RuntimeError, match="could not be initialized"):
        program(pictures())
    with pytest.raises(RuntimeError, match="could not be initialized"):
        torch.jit.load(file)
    sdk.lazy_load(program)
    sdk.async_load(program)
    program.save(file)
    lazy = torch.jit.load(file)
    assert (lazy.model.lazy, lazy.model.asynchronous) == (True, True)
    with pytest.raises(RuntimeError, match="could not be initialized"):
        lazy(pictures())
    neuronx.plug_in()
    assert torch.allclose(lazy(pictures()), small()(pictures()), rtol=0.05, atol=1.0)
    neuronx.plug_in("wrong")
    assert not torch.allclose(lazy(pictures()), small()(pictures()), rtol=0.1)


def test_the_standin_rounds_numbers_as_its_arguments_ask(trace: Trace, neuronx: Standin) -> None:
    def error(*arguments: str) -> float:
        program = trace(small(), example(), *arguments)
        expected = small()(pictures())
        return float((program(pictures()) - expected).abs().max() / expected.abs().max())

    neuronx.plug_in()
    assert error("--auto-cast", "none") == 0
    fine = error("--auto-cast", "matmult", "--auto-cast-type", "tf32")
    assert 0 < fine < error("--auto-cast", "matmult", "--auto-cast-type", "bf16") < 0.01
    assert error() == error("--auto-cast", "matmult", "--auto-cast-type", "bf16")


def test_data_parallel_needs_a_chip_and_makes_the_batch_dynamic(
    sdk: Any, trace: Trace, neuronx: Standin
) -> None:
    program = trace(small(), example())
    with pytest.raises(RuntimeError, match="could not be initialized"):
        sdk.set_multicore(program)
    neuronx.plug_in()
    parallel = sdk.DataParallel(program)
    assert torch.equal(parallel(pictures(5))[:1], program(pictures(5)[:1]))
    parallel.disable_dynamic_batching()
    with pytest.raises(RuntimeError, match="Incorrect tensor shape"):
        parallel(pictures(5))
