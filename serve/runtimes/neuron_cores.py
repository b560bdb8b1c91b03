"""Which NeuronCores this process may have, and that no other process has them.

Asks `neuron-ls` of AWS's tools; a container often has none, then device nodes are counted. Sources:
AWS Neuron SDK documentation, user guide of neuron-ls and configuration of the runtime.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Optional

from serve.errors import Action, ProgramError

TOOLS = Path("/opt/aws/neuron/bin")  # not on PATH under systemd and in containers
NODES = Path("/dev")
SYSFS = Path("/sys/devices/virtual/neuron_device")
VISIBLE, COUNT = "NEURON_RT_VISIBLE_CORES", "NEURON_RT_NUM_CORES"
# Handed to a core at once, as in AWS's guide to performance: the next image is on the device when
# the one before is done.
RUNS_PER_CORE = 2
_TOOL_TIMEOUT_S = 30.0
_looking = Lock()


@dataclass(frozen=True)
class Process:
    """One that uses a device."""

    pid: int
    command: str


@dataclass(frozen=True)
class Device:
    """One chip: Inf1 has 4 cores and 8 GB on each, Inf2 has 2 cores and 32 GB."""

    index: int
    core_ids: tuple[int, ...]  # counted over the whole instance
    memory_bytes: Optional[int]  # None if only the device node is known
    processes: tuple[Process, ...]


@dataclass(frozen=True)
class Cores:
    """The cores of this process. Programs are placed on `range(count)`, whatever the ids are."""

    count: int
    ids: tuple[int, ...]  # counted over the instance; () if the runtime takes any that are free
    devices: tuple[Device, ...]
    pid: int  # of the process that may use them


def find_devices(cores_per_device: int) -> tuple[Device, ...]:
    """Every chip that this process can see; none if there is no driver.

    `cores_per_device` is for chips of which nothing but the device node can be seen.
    """
    return _listed() or _counted(cores_per_device)


def share(devices: tuple[Device, ...], environment: Mapping[str, str]) -> Cores:
    """The part of the devices' cores that NEURON_RT_* leaves to this process.

    Raises ProgramError if these variables cannot be understood or ask for what is not there.
    """
    known = tuple(core for device in devices for core in device.core_ids)
    visible = environment.get(VISIBLE, "").strip()
    if visible:
        ids = _core_ids(visible)
        missing = [core for core in ids if core not in known]
        if missing:
            raise ProgramError(
                f"{VISIBLE}={visible}: no core {missing[0]} here; there are {_named(known)}",
                Action.REPLACE,
            )
        return Cores(len(ids), ids, devices, os.getpid())
    count = _count(environment.get(COUNT, "").strip())
    if count > len(known):
        raise ProgramError(
            f"{COUNT}={count}: there are {len(known)} cores here ({_named(known)})", Action.REPLACE
        )
    if count in (0, len(known)):
        return Cores(len(known), known, devices, os.getpid())
    return Cores(count, (), devices, os.getpid())


def check_free(cores: Cores) -> None:
    """Raises ProgramError if another process surely has cores that this one needs.

    A core belongs to one process until that ends. Who has which core of a device is not told: what
    cannot be known here, the runtime finds out when it starts.
    """
    busy = [device for device in cores.devices if _others(device)]
    taken = [device for device in busy if set(device.core_ids) <= set(cores.ids)]
    total = sum(len(device.core_ids) for device in cores.devices)
    if not cores.ids and cores.count > total - len(busy):  # each has one core at least
        taken = busy
    if taken:
        owners = "; ".join(
            f"device {device.index}: process {other.pid} ({other.command})"
            for device in taken
            for other in _others(device)
        )
        raise ProgramError(
            f"other processes have NeuronCores that are needed here: {owners}; end them, or give "
            f"each process a part with {COUNT} or {VISIBLE}",
            Action.REPLACE,
        )


def own(cores_per_device: int) -> Cores:
    """The cores of this process, the same at every call: they are found and checked once.

    Afterwards this process itself is seen on the devices, in a container under another number.
    Raises ProgramError if others have them, or in a process that was forked from their owner.
    """
    with _looking:  # else a second look could see what the first one's caller has begun
        cores = _found_once(cores_per_device)
    check_same_process(cores.pid)
    return cores


def forget() -> None:
    """Look again at the next call of `own`."""
    _found_once.cache_clear()


def check_same_process(pid: int) -> None:
    """Raises ProgramError in any other process: neither runtimes nor threads survive a fork."""
    if os.getpid() != pid:
        raise ProgramError(
            f"the cores belong to process {pid}, and this one was forked from it; start workers "
            'with multiprocessing.get_context("spawn")',
            Action.RECYCLE,
        )


@functools.cache
def _found_once(cores_per_device: int) -> Cores:
    cores = share(find_devices(cores_per_device), os.environ)
    check_free(cores)
    return cores


def _others(device: Device) -> list[Process]:
    return [process for process in device.processes if process.pid != os.getpid()]


def _core_ids(text: str) -> tuple[int, ...]:
    """`2`, `0-3` with both ends, or a comma list of these."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ProgramError(f"{VISIBLE}={text}: expected a core, as 2, or a range, as 0-3")
        found += range(int(first), int(last or first) + 1)
    if not found or len(set(found)) < len(found):
        raise ProgramError(f"{VISIBLE}={text}: names no core, or one twice")
    return tuple(found)


def _count(text: str) -> int:
    if text and not text.isdecimal():
        raise ProgramError(f"{COUNT}={text}: expected a number of cores, 0 for all")
    return int(text or 0)


def _named(ids: tuple[int, ...]) -> str:
    return ", ".join(map(str, ids)) or "none"


def _listed() -> tuple[Device, ...]:
    """What neuron-ls says; nothing if it is missing, fails, or prints something else."""
    tool = shutil.which("neuron-ls", path=str(TOOLS)) or shutil.which("neuron-ls")
    if tool is None:
        return ()
    try:
        done = subprocess.run(
            [tool, "--json-output"], capture_output=True, timeout=_TOOL_TIMEOUT_S, check=True
        )
        return tuple(_device(row) for row in json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return ()


def _device(row: Mapping[str, Any]) -> Device:
    index, count = int(row["neuron_device"]), int(row["nc_count"])
    ids = row.get("neuroncore_ids") or range(index * count, (index + 1) * count)
    return Device(
        index,
        tuple(int(core) for core in ids),
        int(row["memory_size"]),
        tuple(
            Process(int(each["pid"]), str(each.get("command", "")))
            for each in row.get("neuron_processes") or ()
        ),
    )


def _counted(cores_per_device: int) -> tuple[Device, ...]:
    """One device per node; the driver tells its number of cores, in a container maybe not."""
    return tuple(_devices_of_nodes(cores_per_device))


def _devices_of_nodes(cores_per_device: int) -> Iterator[Device]:
    names = (node.name[len("neuron") :] for node in NODES.glob("neuron*"))
    for index in sorted(int(name) for name in names if name.isdecimal()):
        try:
            text = (SYSFS / f"neuron{index}" / "core_count").read_text(encoding="utf-8")
            count = int(text)
        except (OSError, ValueError):
            count = cores_per_device
        yield Device(index, tuple(range(index * count, (index + 1) * count)), None, ())
