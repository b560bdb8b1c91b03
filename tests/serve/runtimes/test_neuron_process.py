"""What opening a chip does to the process: its time limit, its threads, its cached files."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from depth.artifact.manifest import Artifact
from depth.artifact.program import ProgramKey
from depth.neuron_runtime import EXEC_TIMEOUT, EXEC_TIMEOUT_S
from serve.backend import CHIP_LIMITS, open_on_core
from serve.engine import Engine
from serve.errors import Action, ProgramError
from serve.library import Library
from serve.shapes import BUCKETS
from tests.support.engines import image_of
from tests.support.neuron_jobs import LYING, STANDING, two_sizes_fixture
from tests.support.neuron_machine import machine_fixture
from tests.support.neuron_served import LANE, SIZE, Chip, chip_fixture, served_fixture

__all__ = ["chip_fixture", "machine_fixture", "served_fixture", "two_sizes_fixture"]
MEMORY_OUT = "status=4 message=Allocation Failure"
CACHE = "cached files may fill the host's memory"


def opened(artifact: Artifact, core: int = 0) -> object:
    return open_on_core(artifact, artifact.manifest.stages(ProgramKey(*SIZE, 1)), core)


@pytest.mark.parametrize("user", [None, "7"])
def test_a_run_that_hangs_ends_before_the_scheduler_gives_the_core_up(
    chip: Chip, served: Artifact, user: str
) -> None:
    if user:
        chip.monkeypatch.setenv(EXEC_TIMEOUT, user)
    opened(served)
    assert chip.events("start") == [user or str(EXEC_TIMEOUT_S)]
    assert CHIP_LIMITS.run_timeout_s > EXEC_TIMEOUT_S


def test_a_run_that_hangs_costs_no_core(chip: Chip, served: Artifact) -> None:
    chip.monkeypatch.setenv(EXEC_TIMEOUT, "0.2")
    chip.script("faults", "run 0 2 hang")
    with Engine(Library([served], allow_unverified=True), BUCKETS) as engine:
        engine.make_ready([SIZE])
        with ThreadPoolExecutor(4) as pool:
            many = [image_of(engine, SIZE, seed) for seed in range(12)]
            assert all(
                np.isfinite(raw.outputs["depth"]).all() for raw in pool.map(engine.run, many)
            )
        now = engine._cores._opened.scheduler.snapshot()
        assert (now.cores_in_service, now.retries) == (LANE.cores, 1)


@pytest.mark.usefixtures("chip")
def test_the_limit_is_set_before_the_sdk_is_imported(
    served: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"import os; raise ImportError('limit ' + os.environ.get({EXEC_TIMEOUT!r}, 'none'))"
    (tmp_path / "fake").mkdir()
    (tmp_path / f"fake/{LANE.sdk}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path / "fake"))
    monkeypatch.delitem(sys.modules, LANE.sdk)
    with pytest.raises(ProgramError, match=f"cannot be imported: limit {EXEC_TIMEOUT_S};"):
        opened(served)


def test_torch_has_one_thread_on_a_chip_and_an_import_changes_nothing(
    chip: Chip, served: Artifact
) -> None:
    torch.set_num_threads(3)
    with Engine(Library([served], allow_unverified=True), BUCKETS) as engine:
        engine.make_ready([SIZE])
        engine.run(image_of(engine, SIZE))
    assert {text.split()[1] for text in chip.events("run")} == {"1"}
    code = (
        "import os, torch; torch.set_num_threads(3); import serve.runtimes.neuron_program, "
        f"serve.runtimes.torchscript; assert torch.get_num_threads() == 3; "
        f"assert {EXEC_TIMEOUT!r} not in os.environ"
    )
    environment = {name: text for name, text in os.environ.items() if name != EXEC_TIMEOUT}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.fixture(name="dropped")
def dropped_fixture(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were dropped from the page cache."""
    names: list[str] = []

    def advise(file: int, offset: int, length: int, advice: int) -> None:
        assert (offset, length, advice) == (0, 0, os.POSIX_FADV_DONTNEED)
        names.append(Path(f"/proc/self/fd/{file}").resolve().name)

    monkeypatch.setattr(os, "posix_fadvise", advise)
    return names


def test_a_load_without_memory_is_tried_again_once_cached_files_are_dropped(
    chip: Chip,
    two_sizes: Artifact,
    dropped: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    chip.script("faults", f"load 0 1 {MEMORY_OUT}")
    opened(two_sizes)
    assert chip.placed == [(0, 1)] * 2
    assert sorted(dropped) == ["28x42-b1.pt", "42x28-b1.pt"]
    (record,) = caplog.records
    assert (record.levelno, CACHE in record.getMessage()) == (logging.WARNING, True)


def test_where_that_does_not_help_another_program_is_unloaded(
    chip: Chip, two_sizes: Artifact, dropped: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    chip.monkeypatch.setenv("NEURON_RT_NUM_CORES", "1")
    with Engine(Library([two_sizes], allow_unverified=True), BUCKETS) as engine:
        engine.make_ready([LYING])
        chip.script("faults", *(f"load 0 {nth} {MEMORY_OUT}" for nth in (2, 3)))
        engine.run(image_of(engine, STANDING))
        assert engine._cores._opened.scheduler.snapshot().retries == 0
    assert len(chip.placed) == 4  # LYING, twice in vain, and once more with room
    assert chip.events("free")[0] == "0"
    assert len(dropped) == 2
    assert CACHE in caplog.text


def test_a_load_that_fails_otherwise_is_not_tried_again(
    chip: Chip, served: Artifact, dropped: list[str]
) -> None:
    chip.script("faults", "load 0 1 status=10 message=version")
    with pytest.raises(ProgramError) as got:
        opened(served)
    assert got.value.action is Action.ARTIFACT_FAULT
    assert (dropped, len(chip.placed)) == ([], 1)
