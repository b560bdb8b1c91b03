"""What serving on NeuronCores refuses, and what it makes of the SDK's failures, in either lane."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import replace
from pathlib import Path
from typing import Optional

import numpy as np
import pytest

from depth.artifact.manifest import Artifact
from depth.artifact.program import ProgramKey
from depth.errors import ArtifactError
from serve.backend import open_on_core
from serve.errors import Action, ProgramError
from serve.runtimes import neuron_cores as cores
from serve.runtimes import neuron_program
from serve.runtimes.program import Runtime
from tests.support.manifests import rewritten
from tests.support.neuron_machine import Machine, device, forked, machine_fixture
from tests.support.neuron_served import LANE, SIZE, Chip, chip_fixture, served_fixture
from tests.support.neuron_standin import IS_1_13

__all__ = ["chip_fixture", "machine_fixture", "served_fixture"]
BLACK = {"images": np.zeros((1, 3, *SIZE), np.float32)}
KEY = ProgramKey(*SIZE, 1)


def opened(artifact: Artifact, core: int = 0) -> Runtime:
    return open_on_core(artifact, artifact.manifest.stages(KEY), core)


def finite(runtime: Runtime) -> bool:
    return bool(np.isfinite(runtime.run(BLACK)["depth"]).all())


@pytest.mark.usefixtures("machine")
def test_without_a_device_nothing_is_opened(served: Artifact) -> None:
    says = f"no Neuron device here.*cannot be loaded; serve it on an {LANE.instance}"
    with pytest.raises(ProgramError, match=says) as got:
        opened(served)
    assert got.value.action is Action.REPLACE


def test_cores_of_another_process_are_left_alone(
    chip: Chip, served: Artifact, machine: Machine
) -> None:
    machine.says(device(0, LANE.cores, pids=(1,)))
    with pytest.raises(ProgramError, match="other processes have NeuronCores"):
        opened(served)
    assert chip.placed == []


@pytest.mark.usefixtures("chip")
@pytest.mark.parametrize("core", [-1, LANE.cores])
def test_a_core_that_is_not_there_is_refused(served: Artifact, core: int) -> None:
    with pytest.raises(ProgramError, match=f"no core {core}: this process has {LANE.cores}"):
        opened(served, core)


@pytest.mark.usefixtures("chip")
def test_a_missing_sdk_is_named_with_what_to_install(
    served: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, LANE.sdk, None)
    with pytest.raises(ProgramError, match=f"{LANE.sdk} cannot be imported.*; (run|install) "):
        opened(served)


@pytest.mark.usefixtures("chip")
def test_an_sdk_for_another_torch_is_a_failure_of_ours(served: Artifact) -> None:
    target, sdk = ("inf2", "torch_neuronx") if IS_1_13 else ("inf1", "torch_neuron")
    other = replace(served, manifest=replace(served.manifest, target=target))
    with pytest.raises(ProgramError, match=f"{sdk} cannot be imported: .*torch"):
        opened(other)


def test_altered_bytes_are_never_loaded(chip: Chip, served: Artifact, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(served.folder, copy)
    file = copy / served.manifest.programs[0].files[0].path
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ArtifactError, match="sha256"):
        opened(replace(served, folder=copy))
    assert chip.placed == []


@pytest.mark.usefixtures("chip")
def test_what_is_no_program_is_the_artifacts_fault(served: Artifact, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(served.folder, copy)
    (copy / served.manifest.programs[0].files[0].path).write_bytes(b"no program")
    broken = rewritten(replace(served, folder=copy))
    with pytest.raises(ProgramError, match="copy 28x42-b1: could not be loaded on core 0") as got:
        opened(broken)
    assert got.value.action is Action.ARTIFACT_FAULT


@pytest.mark.usefixtures("chip")
@pytest.mark.parametrize("shape", [(1, 3, 42, 28), (2, 3, *SIZE), (3, *SIZE)])
def test_another_shape_is_the_requests_fault(served: Artifact, shape: tuple[int, ...]) -> None:
    runtime = opened(served)
    with pytest.raises(ProgramError, match=r"takes images as float32 \[1, 3, 28, 42\]") as got:
        runtime.run({"images": np.zeros(shape, np.float32)})
    assert got.value.action is Action.REQUEST_FAULT


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("status=4 message=Allocation Failure", Action.UNLOAD),
        ("status=10 message=version", Action.ARTIFACT_FAULT),
        ("NeuronCore(s) not available - Requested:nc1-nc1 Available:0", Action.REPLACE),
        ("something new", None),
    ],
)
@pytest.mark.parametrize("event", ["load", "run"])
def test_a_failure_on_the_way_to_a_core_says_what_helps(
    chip: Chip, served: Artifact, event: str, text: str, action: Optional[Action]
) -> None:
    chip.script("faults", f"{event} 0 1+ {text} | NMGR:dlr_start the cause")
    what = "could not be loaded on core 0" if event == "load" else "failed"
    with pytest.raises(ProgramError, match=f"28x42-b1: {what}: ") as got:
        opened(served)
    assert text in str(got.value)
    assert "the cause" not in str(got.value)  # it is on the console
    assert got.value.action is (action or (Action.ARTIFACT_FAULT if event == "load" else None))
    assert set(chip.placed) == {(0, 1)}


def test_a_load_that_hangs_takes_no_other_core_with_it(
    chip: Chip, served: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neuron_program, "_HANGS_S", 0.0)
    monkeypatch.setattr(neuron_program, "_LOOK_EVERY_S", 0.001)

    def load() -> Runtime:
        return opened(served, 1)

    with ThreadPoolExecutor(1) as pool, neuron_program._loads.turn("a load that hangs"):
        says = "28x42-b1: not loaded: .*hangs; start the process again"
        with pytest.raises(ProgramError, match=says) as got:
            pool.submit(load).result(20)
        assert got.value.action is Action.BACK_PRESSURE
        assert chip.placed == []
    assert finite(load())


@pytest.mark.usefixtures("chip")
def test_a_load_waits_for_one_that_may_still_end(
    served: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neuron_program, "_LOOK_EVERY_S", 0.001)
    with ThreadPoolExecutor(1) as pool:
        with neuron_program._loads.turn("a long load"):
            second = pool.submit(opened, served, 1)
            assert not wait_for([second], 0.05).done
        assert finite(second.result(20))


def test_a_failed_run_says_what_helps_and_leaves_the_core_usable(
    chip: Chip, served: Artifact
) -> None:
    runtime = opened(served)
    chip.script("faults", *(f"run 0 {nth} status=1004 message=..." for nth in (2, 3)))
    for _ in range(2):
        with pytest.raises(ProgramError, match="NRT_EXEC_COMPLETED_WITH_ERR") as got:
            runtime.run(BLACK)
        assert got.value.action is Action.RETRY
        assert len(str(got.value).splitlines()) == 1
    assert finite(runtime)


@pytest.mark.parametrize(
    ("fault", "says"),
    [("nan", "first run gave numbers for depth that are not finite"), ("shape", "depth has shape")],
)
def test_a_program_that_gives_no_depth_never_counts_as_ready(
    chip: Chip, served: Artifact, fault: str, says: str
) -> None:
    chip.instead(lambda depth: depth * float("nan") if fault == "nan" else depth[:, 1:])
    with pytest.raises(ProgramError, match=f"{says}.*: compile again|{says}.*; compile") as got:
        opened(served)
    assert got.value.action is Action.ARTIFACT_FAULT


@pytest.mark.usefixtures("chip")
def test_a_forked_process_cannot_use_or_open_programs(served: Artifact) -> None:
    runtime = opened(served)
    for use in (lambda: runtime.run(BLACK), lambda: opened(served)):
        assert "start workers with" in forked(use)
    assert finite(runtime)
    assert cores.own(LANE.cores).count == LANE.cores
