"""A device that is only simulated: latencies from a model, faults from a schedule.

What scheduling costs, and what it does when cores fail, can be measured with it on any machine. Its
depth is no depth but a function of each image alone, so that a mix-up cannot go unnoticed.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np

from depth.artifact.program import ProgramKey
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import Action, ProgramError

LOAD, RUN = "load", "run"


@dataclass(frozen=True)
class Fault:
    """One call that goes wrong: the n-th of its kind, counted from 1."""

    nth: int
    action: Optional[Action] = None  # of the ProgramError that it raises
    core: Optional[int] = None  # None: the n-th call on any of the cores
    call: str = RUN
    hang: bool = False  # it and what comes after it on its core return after `Device.release`


@dataclass(frozen=True)
class Model:
    """What a device does. RECYCLE breaks a worker until it is reopened, REPLACE a core for good."""

    latency_ms: Callable[[ProgramKey, int], float]  # of a program on a core
    jitter: float = 0.0  # each run takes up to this share longer or shorter
    load_ms: float = 0.0
    programs_per_core: Optional[int] = None  # what memory has room for; None: any number
    runs_at_once: int = 2  # that a core takes, to do one after the other; more are refused
    faults: tuple[Fault, ...] = ()
    seed: int = 0


def simulated_depth(images: FloatArray) -> FloatArray:
    """[B,3,H,W] float32 -> [B,H,W] float32, the same bits for an image in any batch."""
    depth: FloatArray = images[:, 0] - 2 * images[:, 1] + 3 * images[:, 2]
    return depth


def simulated_outputs(arrays: Arrays) -> dict[str, FloatArray]:
    """What a simulated program makes of its inputs."""
    return {"depth": simulated_depth(arrays["images"])}


class Device:
    """Cores that are simulated, and the count of what was asked of them."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.calls: Counter[tuple[str, Optional[int]]] = Counter()  # by call and core; None: all
        self._counting = threading.Lock()
        self._released = threading.Event()
        self._dead: set[int] = set()
        self._hanging: set[int] = set()

    def worker(self, core: int) -> SimulatedWorker:
        """Open a core. Raises ProgramError if it has to be replaced."""
        self._check(core)
        return SimulatedWorker(self, core)

    def release(self) -> None:
        """Let calls that hang return, now and from now on."""
        self._released.set()

    def begin(self, call: str, core: int) -> None:
        """Count a call and do what the schedule has for it: raise ProgramError, or hang."""
        self._check(core)
        with self._counting:
            self.calls[call, core] += 1
            self.calls[call, None] += 1
            counts = {None: self.calls[call, None], core: self.calls[call, core]}
        for fault in self.model.faults:
            if fault.call == call and fault.core in counts and fault.nth == counts[fault.core]:
                self._fail(fault, core)
        if core in self._hanging:
            self._released.wait()

    def _check(self, core: int) -> None:
        if core in self._dead:
            raise ProgramError(f"simulated core {core} is dead", action=Action.REPLACE)

    def _fail(self, fault: Fault, core: int) -> None:
        if fault.hang:
            self._hanging.add(core)
            return
        if fault.action is Action.REPLACE:
            self._dead.add(core)
        where = f"simulated core {core}, {fault.call} {fault.nth}"
        raise ProgramError(f"{where}: a fault of the schedule", action=fault.action)


class SimulatedWorker:
    """One core as the scheduler sees it. Runs that it has been handed take their turns on it."""

    def __init__(self, device: Device, core: int) -> None:
        self.loaded: set[ProgramKey] = set()
        self.closed = False
        self._device = device
        self._core = core
        self._jitter = random.Random(f"{device.model.seed} {core}")
        self._broken: Optional[ProgramError] = None
        self._line = threading.Lock()
        self._handed = 0  # runs that have not ended
        self._free_s = 0.0  # when the last of them will have

    def load(self, program: ProgramKey) -> None:
        model = self._device.model
        self._call(LOAD)
        if model.programs_per_core is not None and len(self.loaded) >= model.programs_per_core:
            raise ProgramError(
                f"simulated core {self._core}: no memory for {program.name}", action=Action.UNLOAD
            )
        time.sleep(model.load_ms / 1e3)
        self.loaded.add(program)

    def unload(self, program: ProgramKey) -> None:
        self.loaded.remove(program)

    def run(self, program: ProgramKey, arrays: Arrays) -> dict[str, FloatArray]:
        """Outputs after the model's latency; an image that is not finite is refused, like a NaN."""
        started_s = time.perf_counter()
        with self._line:
            if self._handed == self._device.model.runs_at_once:
                raise ProgramError(f"simulated core {self._core}: busy", action=Action.RETRY)
            self._handed += 1
        try:
            return self._run(program, arrays, started_s)
        finally:
            with self._line:
                self._handed -= 1

    def close(self) -> None:
        self.loaded.clear()
        self.closed = True

    def _run(self, program: ProgramKey, arrays: Arrays, started_s: float) -> dict[str, FloatArray]:
        self._call(RUN)
        if program not in self.loaded:
            raise ProgramError(f"simulated core {self._core}: {program.name} is not loaded")
        expected = (program.batch, 3, *program.size)
        images = arrays["images"]
        if images.shape != expected or images.dtype != np.float32:
            raise ProgramError(
                f"{program.name}: expected float32 {list(expected)}, got {images.dtype} "
                f"{list(images.shape)}",
                action=Action.REQUEST_FAULT,
            )
        with self._line:
            ends_s = self._free_s = max(started_s, self._free_s) + self._latency_s(program)
        outputs = simulated_outputs(arrays)
        finite = bool(np.isfinite(outputs["depth"].sum()))
        # What the host has computed meanwhile is part of the device's latency.
        time.sleep(max(0.0, ends_s - time.perf_counter()))
        if not finite:
            raise ProgramError(
                f"{program.name}: the input is no number", action=Action.REQUEST_FAULT
            )
        return outputs

    def _call(self, call: str) -> None:
        if self._broken is not None:
            raise ProgramError(str(self._broken), action=Action.RECYCLE)
        try:
            self._device.begin(call, self._core)
        except ProgramError as error:
            if error.action is Action.RECYCLE:
                self._broken = error
            raise

    def _latency_s(self, program: ProgramKey) -> float:
        model = self._device.model
        factor = 1 + model.jitter * self._jitter.uniform(-1, 1)
        return model.latency_ms(program, self._core) * factor / 1e3
