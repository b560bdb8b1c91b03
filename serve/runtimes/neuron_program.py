"""Copies of a program on NeuronCores: loaded, placed, warmed up, run. Both SDKs work alike here.

Source: AWS Neuron SDK documentation, core placement of torch-neuron and of torch-neuronx.
"""

from __future__ import annotations

import io
import logging
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Callable, Optional

import numpy as np
import torch

from depth.artifact.manifest import Artifact
from depth.artifact.probe import Answer, differs, probe_inputs
from depth.artifact.program import Program
from depth.artifact.verification import answers_of
from depth.maps.result import FloatArray
from depth.neuron_runtime import limit_runs
from serve.arrays import Arrays
from serve.errors import Action, ProgramError
from serve.runtimes.neuron_cores import check_same_process, own
from serve.runtimes.neuron_status import diagnose
from serve.runtimes.program import CheckedProgram, label
from serve.scheduling.worker import Limits

logger = logging.getLogger(__name__)

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
        """Raises ProgramError rather than wait for a load that hangs: it would seem to, too."""
        while not self._lock.acquire(timeout=_LOOK_EVERY_S):
            if time.monotonic() - self._began_s >= _HANGS_S:
                raise ProgramError(
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


class OnCore(CheckedProgram):
    """One copy of a program on one core. Its memory goes with the last reference to it."""

    def __init__(self, loaded: torch.jit.ScriptModule, artifact: Artifact, program: Program):
        super().__init__(artifact, program)
        self._loaded = loaded
        self._half = artifact.manifest.precision.endswith(_HALF)
        self._pid = os.getpid()

    def infer(self, given: dict[str, FloatArray]) -> list[FloatArray]:
        """As `CheckedProgram.infer`.

        Safe in any thread: the SDK does one run on the core after the other, and copies what comes
        and goes meanwhile. Not in a process forked from this one. Raises ProgramError whose
        `action` says what helps.
        """
        check_same_process(self._pid)
        tensors = map(torch.from_numpy, given.values())
        try:
            with torch.no_grad():
                found = self._loaded(*(each.half() if self._half else each for each in tensors))
            several = found if isinstance(found, (tuple, list)) else (found,)
            return [each.float().numpy() for each in several]
        except _FOREIGN as error:
            raise _failure(self.label, "failed", error) from error

    def warm_up(self, probe: Arrays, answers: Mapping[str, Answer], core: int) -> None:
        """One run of the probe, which may be the run that puts the program on the core.

        `answers`: the expected answers by output, {} if they are not known. Raises ProgramError
        if the run fails, gives other answers or numbers that are not finite.
        """
        outputs = self.run(probe)
        for name, answer in answers.items():
            found = differs(answer, outputs[name]) if name in outputs else "missing"
            if found is not None:
                raise ProgramError(
                    f"{self.label}: core {core} computes wrong numbers: {name} is {found}, "
                    "compared with the answer to the same probe where the program was verified; "
                    "replace the instance if verifying again fails here",
                    Action.REPLACE,
                )
        for name, array in outputs.items():
            if not np.isfinite(array).all():
                raise ProgramError(
                    f"{self.label}: the first run gave numbers for {name} that are not finite: "
                    "compile again",
                    Action.ARTIFACT_FAULT,
                )


@dataclass(frozen=True)
class Chip:
    """A kind of chip with its SDK: loads programs on its cores."""

    instance: str  # where programs run
    cores_per_device: int
    # What is loaded inside goes to this core. Imports the SDK; raises ProgramError without it.
    placed_on: Callable[[int], AbstractContextManager[None]]

    def open_on_core(self, artifact: Artifact, program: Program, core: int) -> OnCore:
        """A copy on the core that is the `core`-th of this process, run once.

        Raises ProgramError, or ArtifactError if the bytes are not what the manifest says.
        """
        count = self.core_count(artifact)
        if not 0 <= core < count:
            raise ProgramError(
                f"{artifact.folder}: no core {core}: this process has {count}, counted from 0"
            )
        _prepare_process()
        return self._load(artifact, program, core)

    def core_count(self, artifact: Artifact) -> int:
        """How many cores this process has. Raises ProgramError if there is none."""
        count = own(self.cores_per_device).count
        if count == 0:
            raise ProgramError(
                f"{artifact.folder}: no Neuron device here, and without one its programs cannot "
                f"be loaded; serve it on {self.instance}",
                Action.REPLACE,
            )
        return count

    def _load(self, artifact: Artifact, program: Program, core: int) -> OnCore:
        """As `open_on_core`. Where memory runs out, once more without the artifact's cached files.

        Status 4 at a load also means that the page cache fills the host's memory.
        """
        # Loading runs what the file says: hash first.
        data = artifact.open_files(program.files[:1])[0]
        try:
            return self._loaded(artifact, program, core, data)
        except ProgramError as error:
            if error.action is not Action.UNLOAD:
                raise
            logger.warning(
                "%s; cached files may fill the host's memory: the artifact's are dropped from the "
                "cache, and the program is loaded once more",
                error,
            )
        files = (file.path for each in artifact.manifest.programs for file in each.files)
        _drop_cached(artifact.folder / path for path in files)
        return self._loaded(artifact, program, core, data)

    def _loaded(self, artifact: Artifact, program: Program, core: int, data: memoryview) -> OnCore:
        name = label(artifact, program)
        probe = probe_inputs(artifact.manifest, program)
        answers = answers_of(artifact, program.name)
        try:
            # The first run inside too: the documentation names both as what puts it on the core.
            with _loads.turn(name), self.placed_on(core):
                loaded = torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]
                copy = OnCore(loaded, artifact, program)
                copy.warm_up(probe, answers, core)
                return copy
        except _FOREIGN as error:
            what = f"could not be loaded on core {core}"
            raise _failure(name, what, error, Action.ARTIFACT_FAULT) from error


def _prepare_process() -> None:
    """Before the SDK is imported: a limit for its runs, and one thread for torch.

    On a chip torch only copies tensors, and more threads make that far slower. Threads that used
    torch before keep their number.
    """
    limit_runs(os.environ)
    torch.set_num_threads(1)


def _drop_cached(paths: Iterable[Path]) -> None:
    """Let the kernel free the memory that holds these files as they were read."""
    for path in paths:
        with suppress(OSError), path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _failure(
    name: str, what: str, error: Exception, otherwise: Optional[Action] = None
) -> ProgramError:
    """An exception of torch or the SDK as one of ours; `otherwise`: if it says nothing known."""
    found = diagnose(str(error))
    return ProgramError(f"{name}: {what}: {found.text}", found.action or otherwise)
