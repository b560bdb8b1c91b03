"""The compile run that both Neuron targets share, with a toolchain of a few lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from compile.errors import BuildError, CompilerError, HostError
from compile.neuron import watchdog
from compile.neuron.program import CompileOrder, Settings, Toolchain, compile_program
from tests.neuron_standin import example, pretend_installed, small

INF2 = {"torch": "2.7.0", "torch-neuronx": "2.7.0.2.10", "neuronx-cc": "2.21", "protobuf": "3.20.3"}
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend_installed(monkeypatch, tmp_path / "packages", INF2)
    monkeypatch.setattr(watchdog, "_EVERY_S", 0.02)


def toolchain(trace: Any, **changes: Any) -> Toolchain:
    facts: dict[str, Any] = {
        "target": "inf2",
        "module": Path(__file__),
        "logger_name": "Neuron",
        "sdk": lambda: None,
        "keeps_time": False,
        "trace": trace,
        "unsupported": lambda traced: "",  # noqa: ARG005
        "arguments": lambda precision: ("--auto-cast", precision),
        "versions": dict,
        "fewer": (),
        "instance": "Inf2",
        "elsewhere": "does not run",
    }
    return Toolchain(**{**facts, **changes})


def compiled(folder: Path, trace: Any, **changes: Any) -> None:
    settings = Settings(folder / "neuron", timeout_s=0.3, memory_limit_bytes=1 << 40)
    chain, program = toolchain(trace, **changes), folder / "a.pt"
    compile_program(chain, small(), example(), program, "none", ("-O", "1"), settings)


def test_the_watchdog_keeps_the_time_for_an_sdk_that_does_not(tmp_path: Path) -> None:
    def trace(order: CompileOrder) -> Any:
        assert order.arguments == ("--auto-cast", "none", "-O", "1")
        subprocess.run(SLEEP, check=True)

    with pytest.raises(
        CompilerError, match="ended at its time limit; the compiler's files"
    ) as told:
        compiled(tmp_path, trace)
    assert told.value.cause == "time"


def test_an_sdk_that_compiles_nothing_fails_the_build(tmp_path: Path) -> None:
    def trace(order: CompileOrder) -> Any:
        return torch.jit.trace(order.network, order.example)

    with pytest.raises(BuildError, match="on the CPU at every image: 1 aten::_convolution in the"):
        compiled(tmp_path, trace)
    assert not (tmp_path / "a.pt").exists()


def test_an_exception_of_the_sdk_comes_out_as_ours(tmp_path: Path) -> None:
    def trace(_: CompileOrder) -> Any:
        raise IndexError("list index out of range")

    with pytest.raises(BuildError, match="IndexError: list index out of range.*files are in"):
        compiled(tmp_path, trace)


def test_an_sdk_that_cannot_be_imported_is_told_before_the_trace(tmp_path: Path) -> None:
    def sdk() -> None:
        raise HostError("cannot be imported")

    with pytest.raises(HostError, match="cannot be imported"):
        compiled(tmp_path, None, sdk=sdk)
    assert not (tmp_path / "neuron").exists()


def test_a_network_that_depends_on_the_image_is_not_compiled(tmp_path: Path) -> None:
    class Branch(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if images.sum() > 0 else -images

    settings = Settings(tmp_path, memory_limit_bytes=1 << 40)
    with pytest.raises(BuildError, match="not traceable at a fixed size"):
        compile_program(toolchain(None), Branch(), example(), tmp_path / "a.pt", "", (), settings)


def test_files_stay_in_the_users_cache_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Settings().folder == Path("/home/somebody/.cache/depth-anything-inferentia")
    assert Settings().timeout_s == 7200
