"""Serving on NeuronCores, through the stand-in SDK of this lane: numbers, copies and placement."""

from __future__ import annotations

import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from depth.artifact.manifest import DECODER, ENCODER, Artifact
from depth.maps.result import FloatArray
from depth_anything_v2.config import MODELS
from serve.bench.cli import runs_at_once
from serve.runtimes import neuron_cores as machine_cores
from serve.runtimes.neuron_program import OnCores
from serve.runtimes.table import open_runtime
from tests.neuron_machine import machine_fixture
from tests.neuron_served import (
    LANE,
    MODEL,
    SIZE,
    Chip,
    built,
    chip_fixture,
    eager,
    runtime_module,
    served_fixture,
)
from tests.neuron_standin import needs_torch_1_13
from tests.neuronx_standin import needs_torch_2

__all__ = ["chip_fixture", "machine_fixture", "served_fixture"]
EVERY_CORE = list(range(LANE.cores))


def pictures(seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (1, 3, *SIZE)).astype(np.float32)


def error(found: FloatArray, expected: FloatArray) -> float:
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_it_gives_the_networks_numbers_rounded_as_the_mode_says(
    chip: Chip, served: Artifact
) -> None:
    runtime = open_runtime(served, served.manifest.stages(SIZE))
    assert chip.sdk is not None
    for seed in range(3):
        assert 0 < error(runtime.run(pictures(seed)), eager(pictures(seed))) < 0.02


def test_every_core_gets_a_copy_that_has_run_there(chip: Chip, served: Artifact) -> None:
    open_runtime(served, served.manifest.stages(SIZE), streams=1)
    assert chip.placed == [(core, 1) for core in EVERY_CORE]
    assert chip.runs == EVERY_CORE


def test_only_the_cores_of_this_process_are_used(
    chip: Chip, served: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their numbers for placement begin at 0, whatever they are called on the instance."""
    monkeypatch.setenv("NEURON_RT_VISIBLE_CORES", "1")
    open_runtime(served, served.manifest.stages(SIZE))
    assert chip.placed == [(0, 1)]


def test_a_scheduler_places_programs_itself(chip: Chip, served: Artifact) -> None:
    (program,) = served.manifest.stages(SIZE)
    last = EVERY_CORE[-1]
    runtime = runtime_module().open_on_core(served, program, last)
    assert (chip.placed, chip.runs) == ([(last, 1)], [last])
    assert 0 < error(runtime.run(pictures()), eager(pictures())) < 0.02


def test_every_core_has_two_runs_at_once(chip: Chip, served: Artifact) -> None:
    runtime = open_runtime(served, served.manifest.stages(SIZE))
    both = 2 * LANE.cores
    meeting = Barrier(both, timeout=20.0)  # broken, and so a failure, if fewer come at once
    chip.on_run(lambda: meeting.wait() and None)
    with ThreadPoolExecutor(3 * LANE.cores) as pool:
        found = list(pool.map(runtime.run, map(pictures, range(2 * both))))
    for seed, depth in enumerate(found):
        assert error(depth, eager(pictures(seed))) < 0.02


class Copy:
    """A program on one core, which records how many runs it has at once."""

    def __init__(self, meeting: Barrier) -> None:
        self.at_once: list[int] = []
        self._meeting = meeting
        self._inside = 0
        self._lock = Lock()

    def run(self, images: FloatArray) -> FloatArray:
        with self._lock:
            self._inside += 1
            self.at_once.append(self._inside)
        self._meeting.wait()
        with self._lock:
            self._inside -= 1
        return images


def test_a_run_goes_to_the_core_that_has_fewest_and_no_core_has_three() -> None:
    meeting = Barrier(6, timeout=20.0)
    copies = [Copy(meeting) for _ in range(3)]
    cores = OnCores(copies)
    with ThreadPoolExecutor(9) as pool:
        found = list(pool.map(cores.run, range(24)))
    assert found == list(range(24))
    assert all(max(copy.at_once) == 2 for copy in copies)
    assert sum(len(copy.at_once) for copy in copies) == 24


def test_a_core_takes_the_next_run_while_it_is_at_one(chip: Chip, served: Artifact) -> None:
    runtime = runtime_module().open_on_core(served, *served.manifest.stages(SIZE), 0)
    meeting = Barrier(2, timeout=60)
    chip.on_run(lambda: meeting.wait() and None)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(runtime.run, map(pictures, range(2))))
    for seed, depth in enumerate(found):
        assert error(depth, eager(pictures(seed))) < 0.02


def test_serve_bench_keeps_every_core_busy_unless_told_otherwise(
    chip: Chip, served: Artifact
) -> None:
    assert runs_at_once(served) == [1, LANE.cores, 2 * LANE.cores]
    chip.monkeypatch.setenv("NEURON_RT_NUM_CORES", "1")
    machine_cores.forget()
    assert runs_at_once(served) == [1, 2]
    on_cpu = SimpleNamespace(manifest=SimpleNamespace(target="openvino"))
    chip.monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: range(8))
    assert runs_at_once(on_cpu) == [1, 2, 8]


def test_encoder_and_decoder_apart_give_the_same_depth(chip: Chip, tmp_path: Path) -> None:
    chip.monkeypatch.setitem(MODELS, MODEL.name, MODEL)
    apart = built(tmp_path / "apart", split=True)
    stages = apart.manifest.stages(SIZE)
    assert [program.stage for program in stages] == [ENCODER, DECODER]
    runtime = open_runtime(apart, stages)
    assert chip.placed == [(core, 1) for core in EVERY_CORE] * 2
    assert 0 < error(runtime.run(pictures()), eager(pictures())) < 0.02


@needs_torch_1_13
def test_float16_in_and_out_is_cast_at_the_door(chip: Chip, tmp_path: Path) -> None:
    half = built(tmp_path / "half", "matmult-fp16-io16")
    given: list[Any] = []
    runtime = importlib.import_module(f"{LANE.sdk}.runtime")
    original = runtime._run

    def run(header: Any, function: Any, inputs: Any, shapes: Any) -> Any:
        given.extend(str(x.dtype) for x in inputs)
        return original(header, function, inputs, shapes)

    chip.monkeypatch.setattr(runtime, "_run", run)
    found = open_runtime(half, half.manifest.stages(SIZE)).run(pictures())
    assert set(given) == {"torch.float16"}
    assert 0 < error(found, eager(pictures())) < 0.02


@needs_torch_2
def test_placement_has_moved_between_releases(
    chip: Chip, served: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = SimpleNamespace(neuron_cores_context=chip.sdk.neuron_cores_context)
    monkeypatch.setattr(chip.sdk, "experimental", older, raising=False)
    monkeypatch.delattr(chip.sdk, "neuron_cores_context")
    open_runtime(served, served.manifest.stages(SIZE))
    assert chip.placed == [(core, 1) for core in EVERY_CORE]
