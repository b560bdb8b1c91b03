"""The chip: memory, locks and time limits of its cores, and the failures that tests ask for.

The environment variable NEURON_STANDIN_DEVICE says whether there is a chip: `1`, or `wrong` for a
chip whose numbers are nonsense. Files in the folder NEURON_STANDIN decide how it fails, in every
process that has the folder:

faults         a line for each failure: EVENT CORE WHEN OUTCOME [| CAUSE]
               EVENT    `load` or `run`
               CORE     its number, or `*` for any
               WHEN     `3`: the third such event of this process there; `3+`: from then on
               OUTCOME  `hang`, or the status that the exception has: `status=4 message=...`
               CAUSE    printed on the console; the exception does not have it
spreads        if it exists, every run of the process after a failed run fails in the same way
core_bytes     device memory of each core; a copy of a program takes the size of its NEFF
wrong_cores    cores that compute wrong numbers, one a line: CORE [FACTOR]
wrong_batches  batch sizes whose programs compute wrong numbers, one a line
one_owner      if it exists, a core belongs to one process until that ends
events         written here: `start LIMIT_S` once for each process, then `load CORE`, `free CORE`
               and `run CORE THREADS`, with the number of threads that torch uses there

No program runs in a process that was forked from the one that loaded it.
A run that hangs ends after NEURON_RT_EXEC_TIMEOUT seconds with status 5, a load never.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import weakref
from collections import Counter
from pathlib import Path
from typing import Any, Optional

import torch

_DEFAULT_LIMIT_S = 30.0  # the runtime's table of variables for Inf1
_FOREVER_S = 600.0
_WRONG = 1.5  # times the right number
_MEMORY_OUT = "Could not load the model status=4 message=Allocation Failure"
_TIMEOUT = "status=5 message=Timeout Exceeded"
_NO_DEVICE = (
    "The PyTorch Neuron Runtime could not be initialized. Neuron Driver issues are logged to your "
    "system logs. See the Neuron Runtime's troubleshooting guide for help on this topic"
)
_MISSING = "TDRV:exec_consume_infer_status_notifications Missing infer_status notification: (0:0)"


def has_device() -> bool:
    return os.environ.get("NEURON_STANDIN_DEVICE", "") in ("1", "wrong")


def gives_real_numbers() -> bool:
    return os.environ.get("NEURON_STANDIN_DEVICE") == "1"


def need_device() -> None:
    if not has_device():
        _console(
            "NRT:nrt_init Unable to determine Neuron Driver version. Please check aws-neuron-dkms"
        )
        raise RuntimeError(_NO_DEVICE)


class Device:
    """The chip as this process sees it, from the first load on."""

    def __init__(self, folder: Path, cores: int, core_bytes: int) -> None:
        self._folder = folder
        self._limit_s = float(os.environ.get("NEURON_RT_EXEC_TIMEOUT") or _DEFAULT_LIMIT_S)
        self._core_bytes = int((self._lines("core_bytes") or [core_bytes])[0])
        self._used_bytes = [0] * cores
        self._running = [threading.Lock() for _ in range(cores)]
        self._noting = threading.RLock()  # a program may be freed while its thread notes something
        self._counts: Counter[tuple[str, str]] = Counter()
        self._failed: Optional[str] = None  # what the first failed run raised
        self._pid = os.getpid()
        self._owned = _allocated(folder, cores) if (folder / "one_owner").exists() else []
        self._note(f"start {self._limit_s:g}")

    def least_used(self) -> int:
        return self._used_bytes.index(min(self._used_bytes))

    def factor(self, core: int, batch: int) -> float:
        """The numbers of a program for this batch on this core, as a multiple of the right ones."""
        for line in self._lines("wrong_cores"):
            named, _, factor = line.partition(" ")
            if named == str(core):
                return float(factor or _WRONG)
        return _WRONG if str(batch) in self._lines("wrong_batches") else 1.0

    def take(self, owner: object, core: int, size_bytes: int) -> None:
        """Memory of a core for a program, given back with the last reference to `owner`."""
        self._check_process()
        self._fail("load", core, "Could not load the model")
        with self._noting:
            if self._used_bytes[core] + size_bytes > self._core_bytes:
                _console("TDRV:dmem_alloc_internal Failed to alloc DEVICE memory")
                raise RuntimeError(_MEMORY_OUT)
            self._used_bytes[core] += size_bytes
        self._note(f"load {core}")
        weakref.finalize(owner, self._free, core, size_bytes).atexit = False

    def lock(self, core: int) -> threading.Lock:
        """Held for the time of a run."""
        return self._running[core]

    def begin(self, core: int) -> None:
        """A run begins on a core. Raises as the real runtime, if the run is to fail."""
        self._check_process()
        self._note(f"run {core} {torch.get_num_threads()}")
        if self._failed is not None and (self._folder / "spreads").exists():
            raise RuntimeError(self._failed)
        try:
            self._fail("run", core, "Failed to execute the model")
        except RuntimeError as error:
            self._failed = str(error)
            raise

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("Runtime is in state NRT_STATE_CHILD: it does not survive a fork")

    def _free(self, core: int, size_bytes: int) -> None:
        with self._noting:
            self._used_bytes[core] -= size_bytes
        if self._folder.exists():  # not after the test
            self._note(f"free {core}")

    def _fail(self, event: str, core: int, what: str) -> None:
        with self._noting:
            for name in (str(core), "*"):
                self._counts[event, name] += 1
            counts = dict(self._counts)
        for line in self._lines("faults"):
            rule, _, cause = line.partition(" | ")
            named, where, when, outcome = rule.split(maxsplit=3)
            count = counts.get((event, where), 0)
            due = count >= int(when[:-1]) if when.endswith("+") else count == int(when)
            if named != event or where not in (str(core), "*") or not due:
                continue
            if cause:
                _console(cause)
            if outcome == "hang":
                time.sleep(self._limit_s if event == "run" else _FOREVER_S)
                _console(_MISSING)
                outcome = _TIMEOUT
            raise RuntimeError(f"{what} {outcome}")

    def _lines(self, name: str) -> list[str]:
        path = self._folder / name
        return path.read_text().splitlines() if path.exists() else []

    def _note(self, line: str) -> None:
        with self._noting, (self._folder / "events").open("a") as file:
            file.write(f"{line}\n")


def _allocated(folder: Path, cores: int) -> list[int]:
    """Open, locked files, one for each core that this process has until it ends.

    As many as NEURON_RT_NUM_CORES says, or all. Raises RuntimeError if others have too many.
    """
    wanted = int(os.environ.get("NEURON_RT_NUM_CORES") or 0) or cores
    found = []
    for core in range(cores):
        file = os.open(folder / f"core-{core}", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.append(file)
        except OSError:
            os.close(file)
        if len(found) == wanted:
            return found
    for file in found:
        os.close(file)
    text = f"NeuronCore(s) not available - Requested:{wanted} Available:{len(found)}"
    _console(f"NRT:nrt_allocate_neuron_cores {text}")
    raise RuntimeError(text)


def _console(text: str) -> None:
    """What the runtime's own code prints, whoever holds sys.stderr."""
    pid = os.getpid()
    stamp = time.strftime("%Y-%b-%d %H:%M:%S.0000")
    os.write(2, f"{stamp} {pid}:{pid} ERROR {text}\n".encode())


_devices: dict[str, Device] = {}
_starting = threading.Lock()


def device_of(cores: Any) -> Device:
    """The chip with these cores; it starts at the first call. Another folder is another machine."""
    need_device()
    folder = os.environ["NEURON_STANDIN"]
    with _starting:
        if folder not in _devices:
            _devices[folder] = Device(Path(folder), cores.count, cores.core_bytes)
        return _devices[folder]
