"""Copies of a program on NeuronCores: loaded, placed, warmed up, run. Both SDKs work alike here.

Source: AWS Neuron SDK documentation, core placement of torch-neuron and of torch-neuronx.
"""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import Condition, Lock
from typing import Callable, Optional

import numpy as np
import torch

from depth.artifact.manifest import DECODER, ENCODER, Artifact, Program
from depth.family import PATCH_PX
from depth.maps.depth_map import FloatArray
from depth_anything_v2.config import model_named
from serve.errors import Action, RuntimeFailure
from serve.runtimes.neuron_cores import RUNS_PER_CORE, check_same_process, own
from serve.runtimes.neuron_status import diagnose
from serve.scheduling.limits import Limits

_HALF = "-io16"  # how the names of precisions with float16 in and out end
_FOREIGN = (RuntimeError, ValueError, torch.jit.Error)  # torch.jit.Error is not a RuntimeError
_HANGS_S = Limits.load_timeout_s  # a load that has taken so long never ends
_LOOK_EVERY_S = 1.0  # whether the load that is waited for hangs


class _Turns:
    """One load at a time: the SDKs' placement contexts are not safe in threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._began_s = math.inf

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Raises RuntimeFailure rather than wait for a load that hangs: it would seem to, too."""
        while not self._lock.acquire(timeout=_LOOK_EVERY_S):
            if time.monotonic() - self._began_s >= _HANGS_S:
                raise RuntimeFailure(
                    f"{name}: not loaded: the SDK loads one program at a time, and a load that "
                    f"has taken {_HANGS_S:g} s hangs; start the process again",
                    Action.BACK_PRESSURE,  # this core can still run what it holds
                )
        self._began_s = time.monotonic()
        try:
            yield
        finally:
            self._began_s = math.inf
            self._lock.release()


_loads = _Turns()


@dataclass(frozen=True)
class Chip:
    """What differs between the two kinds."""

    instance: str  # where programs run
    elsewhere: str  # what they do on any other machine
    cores_per_device: int
    # What is loaded inside goes to this core. Imports the SDK; raises RuntimeFailure without it.
    placed_on: Callable[[int], AbstractContextManager[None]]


class OnCore:
    """One copy of a program on one core. Its memory goes with the last reference to it."""

    def __init__(self, loaded: torch.jit.ScriptModule, artifact: Artifact, program: Program):
        self.name = _name(artifact, program)
        self._program = loaded
        self._half = artifact.manifest.precision.endswith(_HALF)
        self._input, self._output = _shapes(artifact, program)
        self._pid = os.getpid()

    def run(self, images: FloatArray) -> FloatArray:
        """Input to output in exactly the program's shape, both float32; see `Program`.

        Safe in any thread: the SDK does one run on the core after the other, and copies what comes
        and goes meanwhile. Not in a process forked from this one. Raises RuntimeFailure whose
        `action` says what helps.
        """
        check_same_process(self._pid)
        if images.shape != self._input:
            raise RuntimeFailure(
                f"{self.name}: takes {self._input}, not {images.shape}", Action.REQUEST_FAULT
            )
        given = torch.from_numpy(images)
        try:
            with torch.no_grad():
                found = self._program(given.half() if self._half else given)
            return found.float().numpy()
        except _FOREIGN as error:
            raise _failure(self.name, "failed", error) from error

    def warm_up(self) -> None:
        """One run, which may be the one that puts the program on the core.

        Raises RuntimeFailure if it fails or gives anything but finite numbers.
        """
        found = self.run(np.zeros(self._input, np.float32))
        if found.shape != self._output or not np.isfinite(found).all():
            raise RuntimeFailure(
                f"{self.name}: the first run gave {found.shape}, finite: "
                f"{bool(np.isfinite(found).all())}; expected finite numbers {self._output}: "
                "compile again",
                Action.ARTIFACT_FAULT,
            )


class OnCores:
    """One copy on each of several cores; a run goes to the core that has fewest, or waits."""

    def __init__(self, copies: list[OnCore]) -> None:
        self._pid = os.getpid()
        self._copies = copies
        self._runs = [0] * len(copies)  # on each
        self._changed = Condition()

    def run(self, images: FloatArray) -> FloatArray:
        """As `OnCore.run`, `RUNS_PER_CORE` at once on every core."""
        check_same_process(self._pid)
        with self._changed:
            self._changed.wait_for(lambda: min(self._runs) < RUNS_PER_CORE)
            core = self._runs.index(min(self._runs))
            self._runs[core] += 1
        try:
            return self._copies[core].run(images)
        finally:
            with self._changed:
                self._runs[core] -= 1
                self._changed.notify()


def open_on_core(chip: Chip, artifact: Artifact, program: Program, core: int) -> OnCore:
    """A copy on the core that is the `core`-th of this process, run once.

    Raises RuntimeFailure, or ArtifactError if the bytes are not what the manifest says.
    """
    count = core_count(chip, artifact)
    if not 0 <= core < count:
        raise RuntimeFailure(
            f"{artifact.folder}: no core {core}: this process has {count}, counted from 0"
        )
    return _load(chip, artifact, program, _bytes(artifact, program), core)


def open_program(chip: Chip, artifact: Artifact, program: Program) -> OnCores:
    """A copy on every core of this process, each run once. Raises as `open_on_core`."""
    count = core_count(chip, artifact)
    data = _bytes(artifact, program)
    return OnCores([_load(chip, artifact, program, data, core) for core in range(count)])


def core_count(chip: Chip, artifact: Artifact) -> int:
    """How many cores this process has. Raises RuntimeFailure if there is none."""
    count = own(chip.cores_per_device).count
    if count == 0:
        raise RuntimeFailure(
            f"{artifact.folder}: no Neuron device here, and without one its programs "
            f"{chip.elsewhere}; serve it on {chip.instance}",
            Action.REPLACE,
        )
    return count


def _bytes(artifact: Artifact, program: Program) -> memoryview:
    """Loading runs what the file says: only bytes whose hash matched."""
    return artifact.open_file(program.files[0])


def _load(chip: Chip, artifact: Artifact, program: Program, data: memoryview, core: int) -> OnCore:
    name = _name(artifact, program)
    try:
        # The first run inside too: the documentation names both as what puts it on the core.
        with _loads.turn(name), chip.placed_on(core):
            loaded = torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]
            copy = OnCore(loaded, artifact, program)
            copy.warm_up()
            return copy
    except _FOREIGN as error:
        what = f"could not be loaded on core {core}"
        raise _failure(name, what, error, Action.ARTIFACT_FAULT) from error


def _failure(
    name: str, what: str, error: Exception, otherwise: Optional[Action] = None
) -> RuntimeFailure:
    """An exception of torch or the SDK as one of ours; `otherwise`: if it says nothing known."""
    found = diagnose(str(error))
    return RuntimeFailure(f"{name}: {what}: {found.text}", found.action or otherwise)


def _name(artifact: Artifact, program: Program) -> str:
    return f"{artifact.folder.name} {program.name}"


def _shapes(artifact: Artifact, program: Program) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of input and output; see `Program`."""
    images = program.batch, 3, program.height_px, program.width_px
    depth = program.batch, program.height_px, program.width_px
    patches = (program.height_px // PATCH_PX) * (program.width_px // PATCH_PX)
    if program.stage not in (ENCODER, DECODER):
        return images, depth
    width = 4 * model_named(artifact.manifest.model).config.embed_dim
    features = program.batch, patches, width
    return (images, features) if program.stage == ENCODER else (features, depth)
