"""The compile run that both Neuron targets share, with a toolchain of a few lines."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from compile.errors import BuildError, CompilerError, HostError
from compile.neuron import program, watchdog
from compile.neuron.cache import ProgramCache, default_folder
from compile.neuron.program import CompileOrder, Toolchain, compile_program
from compile.neuron.record import BuildRecord
from compile.targets.protocols import Settings
from depth import files
from depth.files import turn
from tests.support.neuron_standin import GOOD_INF2, example, part, pretend_installed, small

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend_installed(monkeypatch, tmp_path / "packages", GOOD_INF2)
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
        "flags": lambda precision: ("--auto-cast", precision),
        "packages": (),
        "fewer": (),
        "instance": "Inf2",
    }
    return Toolchain(**{**facts, **changes})


def compiled(folder: Path, trace: Any, name: str = "a.pt", **changes: Any) -> BuildRecord:
    settings = Settings(folder / "neuron", timeout_s=0.3, memory_limit_bytes=1 << 40)
    chain, path = toolchain(trace, **changes), folder / name
    return compile_program(chain, part(small(), example()), path, "none", ("-O", "1"), settings)


def on_chip(order: CompileOrder) -> Any:
    """A program that passes for one on the chip, where `check_on_chip` is not asked."""
    return torch.jit.trace(order.part.module, order.part.examples)


def test_the_watchdog_keeps_the_time_for_an_sdk_that_does_not(tmp_path: Path) -> None:
    def trace(order: CompileOrder) -> Any:
        assert order.arguments == ("--auto-cast", "none", "-O", "1")
        subprocess.run(SLEEP, check=True)

    with pytest.raises(
        CompilerError, match="ended at its time limit; the compiler's files"
    ) as told:
        compiled(tmp_path, trace)
    assert told.value.cause == "time"


def test_our_own_stderr_stays_on_the_terminal_while_the_compiler_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The progress bar writes to it from a thread."""
    script = "echo of the child; echo its error >&2"  # quick: there is a time limit

    def trace(order: CompileOrder) -> Any:
        subprocess.run(["/bin/sh", "-c", script], check=True)
        sys.stderr.write("our bar\n")
        works.append(order.work)
        raise IndexError

    works: list[Path] = []
    program._own_stderr.cache_clear()  # pytest has another stderr for each test
    before = sys.stderr
    with pytest.raises(BuildError):
        compiled(tmp_path, trace)
    assert sys.stderr is before
    assert capfd.readouterr() == ("", "our bar\n")
    assert (works[0] / "compiler.out").read_text() == "of the child\n"
    assert (works[0] / "compiler.err").read_text() == "its error\n"


def test_an_sdk_that_compiles_nothing_fails_the_build(tmp_path: Path) -> None:
    def trace(order: CompileOrder) -> Any:
        return torch.jit.trace(order.part.module, order.part.examples)

    with pytest.raises(BuildError, match="on the CPU at every image: 1 aten::_convolution in the"):
        compiled(tmp_path, trace)
    assert not (tmp_path / "a.pt").exists()


def test_an_exception_of_the_sdk_becomes_a_build_error(tmp_path: Path) -> None:
    def trace(_: CompileOrder) -> Any:
        raise IndexError("list index out of range")

    with pytest.raises(BuildError, match="IndexError: list index out of range.*files are in"):
        compiled(tmp_path, trace)


def test_an_sdk_that_cannot_be_imported_fails_before_the_trace(tmp_path: Path) -> None:
    def sdk() -> None:
        raise HostError("cannot be imported")

    with pytest.raises(HostError, match="cannot be imported"):
        compiled(tmp_path, None, sdk=sdk)
    assert not (tmp_path / "neuron").exists()


def test_a_second_process_waits_and_takes_the_program_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    waits, runs, second_record = threading.Event(), [], []

    def say(text: str, *values: object) -> None:
        said.append(text % values)
        waits.set()

    def trace(order: CompileOrder) -> Any:
        runs.append(order.work)
        if len(runs) == 1:
            second.start()
            assert waits.wait(20)
            assert order.work.is_dir()
        return on_chip(order)

    second = threading.Thread(target=lambda: second_record.append(compiled(tmp_path, trace, "b")))
    monkeypatch.setattr(program, "check_on_chip", lambda *_: None)
    monkeypatch.setattr(files.logger, "warning", say)
    assert not compiled(tmp_path, trace).from_cache
    second.join()
    assert second_record[0].from_cache
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a.pt").read_bytes()
    assert len(runs) == 1
    (line,) = said
    assert line.startswith("waiting for another process that compiles the same program")


def test_without_file_locks_no_process_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_handle: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with turn(tmp_path / "a.lock"):
        pass
    (tmp_path / "file").touch()
    with turn(tmp_path / "file" / "no folder" / "a.lock"):
        pass


def test_a_cache_without_room_does_not_cost_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def store(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(program, "check_on_chip", lambda *_: None)
    monkeypatch.setattr(ProgramCache, "store", store)
    assert not compiled(tmp_path, on_chip).from_cache
    assert (tmp_path / "a.pt").stat().st_size > 0
    assert "built but not kept for the next build: No space left on device" in caplog.text


def test_files_stay_in_the_users_cache_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Settings().folder is None
    assert default_folder() == Path("/home/somebody/.cache/depth-anything-inferentia")
    assert Settings().timeout_s == 7200


@pytest.mark.parametrize("error", [KeyError, RuntimeError])
def test_only_a_neuron_build_needs_a_home_folder(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def homeless() -> Path:
        raise error("getpwuid(): uid not found: 54321")

    monkeypatch.setattr(Path, "home", homeless)
    Settings()  # every target has them
    with pytest.raises(HostError, match="no home folder.*set HOME"):
        default_folder()
