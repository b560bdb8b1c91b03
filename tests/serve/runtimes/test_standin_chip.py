"""The stand-ins of both SDKs fail as the real chip is known to: loading, memory, time, console."""

from __future__ import annotations

import gc
import importlib
import io
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest
import torch

from depth.artifact.manifest import Artifact
from tests.support.neuron_machine import machine_fixture
from tests.support.neuron_served import LANE, SIZE, Chip, chip_fixture, network, served_fixture
from tests.support.neuron_standin import IS_1_13
from tests.support.places import STANDINS

__all__ = ["chip_fixture", "machine_fixture", "served_fixture"]
IMAGES = torch.zeros(1, 3, *SIZE)
LAST = LANE.cores - 1


@pytest.fixture(name="load")
def load_fixture(chip: Chip, served: Artifact) -> Callable[..., Any]:
    """Loads a copy on a core; without a core, where the chip chooses."""
    data = (served.folder / served.manifest.programs[0].files[0].path).read_bytes()
    home = chip.sdk.experimental if IS_1_13 else chip.sdk

    def load(core: int = -1) -> Any:
        if core < 0:
            return torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]
        with home.neuron_cores_context(start_nc=core, nc_count=1):
            return torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]

    return load


def neff_bytes(chip: Chip, load: Callable[..., Any]) -> int:
    """What a copy takes of a core's memory."""
    kept = load(0)
    device = importlib.import_module("neuron_base.device")._devices[str(chip.control)]
    used: int = device._used_bytes[0]
    del kept
    return used


@pytest.mark.long
def test_without_a_chip_the_load_raises_in_a_process_of_its_own(
    chip: Chip, served: Artifact
) -> None:
    path = served.folder / served.manifest.programs[0].files[0].path
    code = f"import torch, {LANE.sdk}; torch.jit.load({str(path)!r})"
    environment = {**os.environ, "PYTHONPATH": str(STANDINS), "NEURON_STANDIN_DEVICE": ""}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "RuntimeError: The PyTorch Neuron Runtime could not be initialized." in done.stderr
    assert "Unable to determine Neuron Driver version" in done.stderr
    environment["NEURON_STANDIN_DEVICE"] = "1"
    subprocess.run(command, env=environment, capture_output=True, check=True)
    assert chip.events("load") == ["0"]


def test_a_copy_is_bound_to_its_core_and_its_memory_goes_with_it(
    chip: Chip, load: Callable[..., Any]
) -> None:
    copies = [load(LAST), load()]
    assert chip.events("load") == [str(LAST), "0"]  # the second where there is more memory
    for copy in copies:
        copy(IMAGES)
    assert chip.runs == [LAST, 0]
    del copies, copy
    gc.collect()
    assert sorted(chip.events("free")) == ["0", str(LAST)]


def test_a_core_has_memory_for_some_copies_and_others_are_not_touched(
    chip: Chip, load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    size_bytes = neff_bytes(chip, load)
    chip.script("core_bytes", 2 * size_bytes)
    monkeypatch.setattr(importlib.import_module("neuron_base.device"), "_devices", {})
    held = [load(0), load(0)]
    with pytest.raises(RuntimeError, match="^Could not load the model status=4 message=Alloc"):
        load(0)
    load(1)
    del held[0]
    held.append(load(0))
    assert held[-1](IMAGES).shape == (1, *SIZE)


def test_the_lock_of_a_core_lets_one_run_through_at_a_time(
    chip: Chip, load: Callable[..., Any]
) -> None:
    inside: list[int] = []

    def give(depth: torch.Tensor) -> torch.Tensor:
        inside.append(threading.get_ident())
        time.sleep(0.05)
        assert inside[-1] == threading.get_ident()
        return depth

    chip.instead(give)
    copy = load(0)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(copy, [IMAGES] * 3))
    assert len(inside) == 3


def test_a_run_that_hangs_ends_with_status_5_and_its_cause_is_on_the_console(
    chip: Chip,
    load: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NEURON_RT_EXEC_TIMEOUT", "0.2")
    chip.script("faults", "run 0 2 hang | TDRV:notification_consume_errors Event double set")
    copy = load(0)
    copy(IMAGES)
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="status=5 message=Timeout Exceeded") as got:
        copy(IMAGES)
    assert time.monotonic() - started >= 0.2
    assert "Event double set" not in str(got.value)
    assert "ERROR TDRV:notification_consume_errors Event double set" in capfd.readouterr().err
    copy(IMAGES)  # only the second run


def test_a_failed_run_may_spread_to_every_later_run_of_the_process(
    chip: Chip, load: Callable[..., Any]
) -> None:
    chip.script("faults", "run 0 1 status=1 message=Failure")
    chip.script("spreads")
    first, other = load(0), load(LAST)
    other(IMAGES)
    for copy in (first, other, first, load(LAST)):
        with pytest.raises(RuntimeError, match="Failed to execute the model status=1"):
            copy(IMAGES)


@pytest.mark.parametrize("script", ["wrong_cores", "wrong_batches"])
def test_a_core_or_a_batch_size_may_compute_wrong_numbers(
    chip: Chip, load: Callable[..., Any], script: str
) -> None:
    right = network()(IMAGES)
    assert torch.allclose(load(1)(IMAGES), right, rtol=0.05, atol=0.05)
    chip.script(script, 1)
    assert torch.allclose(load(1)(IMAGES), 1.5 * right, rtol=0.05, atol=0.05)
    elsewhere = 1.5 if script == "wrong_batches" else 1.0
    assert torch.allclose(load(0)(IMAGES), elsewhere * right, rtol=0.05, atol=0.05)


def test_the_first_load_may_fail_where_the_second_works(
    chip: Chip, load: Callable[..., Any]
) -> None:
    chip.script("faults", "load * 1 status=4 message=Allocation Failure")
    with pytest.raises(RuntimeError, match="Could not load the model status=4"):
        load(0)
    assert load(0)(IMAGES).shape == (1, *SIZE)


def test_a_chip_notes_its_time_limit_and_the_threads_of_torch(
    chip: Chip, load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURON_RT_EXEC_TIMEOUT", "7")
    load(0)(IMAGES)
    assert chip.events("start") == ["7"]
    assert chip.events("run") == [f"0 {torch.get_num_threads()}"]
