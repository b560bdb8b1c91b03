"""Serving on NeuronCores, through the stand-in SDK of this lane: numbers, copies and placement."""

from __future__ import annotations

import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from depth.artifact.manifest import Artifact
from depth.artifact.program import ProgramKey
from depth.maps.result import FloatArray
from serve.backend import open_on_core
from serve.bench.cli import runs_at_once
from serve.runtimes import neuron_cores as machine_cores
from serve.runtimes.program import Runtime
from tests.support.neuron_machine import machine_fixture
from tests.support.neuron_served import LANE, SIZE, Chip, built, chip_fixture, eager, served_fixture
from tests.support.neuron_standin import needs_torch_1_13, needs_torch_2

__all__ = ["chip_fixture", "machine_fixture", "served_fixture"]
LAST = LANE.cores - 1


def opened(artifact: Artifact, core: int = 0) -> Runtime:
    return open_on_core(artifact, artifact.manifest.stages(ProgramKey(*SIZE, 1)), core)


def pictures(seed: int = 0) -> dict[str, FloatArray]:
    rng = np.random.default_rng(seed)
    return {"images": rng.integers(0, 256, (1, 3, *SIZE)).astype(np.float32)}


def error(found: dict[str, FloatArray], seed: int = 0, name: str = "depth") -> float:
    """The largest, as a share of the largest value."""
    expected = eager(pictures(seed)["images"], sky="sky" in found)
    assert set(found) == set(expected)
    assert found[name].shape == expected[name].shape
    assert found[name].dtype == np.float32
    return float(np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max())


def test_it_gives_the_networks_numbers_rounded_as_the_mode_says(
    chip: Chip, served: Artifact
) -> None:
    runtime = opened(served)
    assert chip.sdk is not None
    for seed in range(3):
        assert 0 < error(runtime.run(pictures(seed)), seed) < 0.02


def test_a_program_with_several_outputs_gives_them_by_name(chip: Chip, tmp_path: Path) -> None:
    sky = built(tmp_path / "sky", sky=True)
    found = opened(sky).run(pictures())
    assert chip.placed == [(0, 1)]
    assert 0 < error(found) < 0.02
    assert 0 < error(found, name="sky") < 0.02


def test_a_program_goes_to_the_core_that_is_named_and_runs_there(
    chip: Chip, served: Artifact
) -> None:
    runtime = opened(served, LAST)
    assert (chip.placed, chip.runs) == ([(LAST, 1)], [LAST])
    assert 0 < error(runtime.run(pictures())) < 0.02


def test_a_core_takes_the_next_run_while_it_is_at_one(chip: Chip, served: Artifact) -> None:
    runtime = opened(served)
    meeting = Barrier(2, timeout=60)
    chip.on_run(lambda: meeting.wait() and None)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(runtime.run, map(pictures, range(2))))
    for seed, depth in enumerate(found):
        assert error(depth, seed) < 0.02


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
    apart = built(tmp_path / "apart", split=True)
    assert [program.stage for program in apart.manifest.programs] == ["encoder", "decoder"]
    runtime = opened(apart)
    assert chip.placed == [(0, 1)] * 2
    assert 0 < error(runtime.run(pictures())) < 0.02


@needs_torch_1_13
def test_float16_in_and_out_is_cast_at_the_door(chip: Chip, tmp_path: Path) -> None:
    half = built(tmp_path / "half", "matmult-fp16-io16")
    given: list[Any] = []
    runtime = importlib.import_module("neuron_base.runtime")
    original = runtime.computed

    def run(header: Any, function: Any, inputs: Any) -> Any:
        given.extend(str(x.dtype) for x in inputs)
        return original(header, function, inputs)

    chip.monkeypatch.setattr(runtime, "computed", run)
    found = opened(half).run(pictures())
    assert set(given) == {"torch.float16"}
    assert 0 < error(found) < 0.02


@needs_torch_2
def test_placement_has_moved_between_releases(
    chip: Chip, served: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = SimpleNamespace(neuron_cores_context=chip.sdk.neuron_cores_context)
    monkeypatch.setattr(chip.sdk, "experimental", older, raising=False)
    monkeypatch.delattr(chip.sdk, "neuron_cores_context")
    opened(served, LAST)
    assert chip.placed == [(LAST, 1)]
