"""A machine with NeuronCores, as far as serving looks at one: neuron-ls, device nodes, sysfs.

A test module that imports `machine_fixture` has the fixture `machine`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import pytest

from serve.errors import ProgramError
from serve.runtimes import neuron_cores as cores

GIB = 1 << 30
# How torch passes on what an operator raised.
TRACEBACK = """The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File "code/__torch__/torch_neuron/convert.py", line 9, in forward
    _0 = ops.neuron.forward_v2_1([images], self.model)
         ~~~~~~~~~~~~~~~~~~~~~~~ <--- HERE
RuntimeError: {}
"""


def device(index: int = 0, count: int = 4, pids: tuple[int, ...] = (), **more: Any) -> Any:
    """One entry of neuron-ls, with the fields and types that it has on hosts with one chip."""
    return {
        "neuron_device": index,
        "bdf": "00:1f.0",
        "cpu_affinity": "0-7",
        "numa_node": "-1",
        "connected_to": None,
        "nc_count": count,
        "memory_size": 2 * count * GIB,
        "neuroncore_ids": list(range(index * count, (index + 1) * count)),
        "neuron_processes": [
            {"pid": pid, "command": "python train.py", "neuron_runtime_version": "2.19.5.0"}
            for pid in pids
        ],
        **more,
    }


@dataclass
class Machine:
    """At first it has no tool, no node and no driver."""

    folder: Path

    def says(self, *devices: Any) -> None:
        """What neuron-ls lists from now on; it ends its JSON without a new line."""
        self.prints(json.dumps(devices))

    def prints(self, text: str, code: int = 0, tools: str = "tools") -> None:
        """A neuron-ls that answers so to the option for JSON, and to nothing else."""
        answer = self.folder / f"answer of {tools}"
        answer.write_text(text)
        self.runs(f'[ "$*" = --json-output ] || exit 3\n/bin/cat "{answer}"\nexit {code}', tools)

    def runs(self, script: str, tools: str = "tools") -> None:
        tool = self.folder / tools / "neuron-ls"
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)

    def has_nodes(self, *names: str) -> None:
        for name in names:
            (self.folder / "dev" / name).touch()

    def driver_says(self, index: int, core_count: str) -> None:
        path = self.folder / f"sysfs/neuron{index}/core_count"
        path.parent.mkdir(parents=True)
        path.write_text(core_count)


@pytest.fixture(name="machine")
def machine_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    folder = tmp_path / "machine"
    (folder / "dev").mkdir(parents=True)
    monkeypatch.setattr(cores, "TOOLS", folder / "tools")
    monkeypatch.setattr(cores, "NODES", folder / "dev")
    monkeypatch.setattr(cores, "SYSFS", folder / "sysfs")
    monkeypatch.setenv("PATH", str(folder / "on path"))
    for name in (cores.VISIBLE, cores.COUNT):
        monkeypatch.delenv(name, raising=False)
    cores.forget()
    yield Machine(folder)
    cores.forget()


def forked(code: Callable[[], object]) -> str:
    """What ProgramError says that `code` raises in a forked child, or nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            code()
        except ProgramError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    os.waitpid(child, 0)
    return text
