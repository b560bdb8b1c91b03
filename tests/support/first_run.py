"""A compile host and an instance of stand-ins, for whole first runs in their own processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.neuron_machine import device
from tests.support.neuron_standin import GOOD_INF1
from tests.support.places import ROOT, STANDINS

_CORE_BYTES = 300_000_000  # room for two programs of vits
_MONITOR = """#!/bin/sh
while :; do echo '{"neuron_runtime_data": []}'; sleep 1; done
"""


@dataclass(frozen=True)
class Hosts:
    """Both machines, in one folder; the store lies beside them."""

    folder: Path

    @property
    def control(self) -> Path:
        """What stand-ins do is decided by the files here, see tests/standins."""
        return self.folder / "control"

    @property
    def results(self) -> Path:
        return self.folder / "first-run"

    def run(self, role: str, *options: str) -> subprocess.CompletedProcess[str]:
        """`infra/first-run.sh` on one of the machines."""
        command = ["bash", "infra/first-run.sh", role, "--small", "--checkpoint", "untrained"]
        command += ["--out", str(self.results), "--store", str(self.folder / "store")]
        command += ["--artifacts", str(self.folder / role), *options]
        return subprocess.run(
            command, cwd=ROOT, env=self._environment(role), capture_output=True, text=True
        )

    def _environment(self, role: str) -> dict[str, str]:
        path = [str(STANDINS), str(STANDINS / "machine"), str(self.folder / "packages"), str(ROOT)]
        machine = self.folder / f"{role} machine"
        found = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            "HOME": str(self.folder / "home"),
            "NEURON_STANDIN": str(self.control),
            "NEURON_STANDIN_MACHINE": str(machine),
            "FIRST_RUN_PYTHON": sys.executable,
            "OMP_NUM_THREADS": "1",  # several threads wait for each other on a busy machine
        }
        return {**found, "NEURON_STANDIN_DEVICE": "1"} if role == "serve" else found


def made_hosts(folder: Path) -> Hosts:
    hosts = Hosts(folder)
    for name in ("control", "home", "compile machine/dev", "serve machine/dev"):
        (folder / name).mkdir(parents=True)
    for name, version in GOOD_INF1.items():
        info = folder / "packages" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (hosts.control / "one_owner").touch()
    (hosts.control / "core_bytes").write_text(str(_CORE_BYTES))
    instance = folder / "serve machine"
    (instance / "dev/neuron0").touch()
    answer = instance / "devices.json"
    answer.write_text(json.dumps([device()]))
    _tool(instance / "tools/neuron-ls", f'#!/bin/sh\ncat "{answer}"\n')
    _tool(instance / "tools/neuron-monitor", _MONITOR)
    return hosts


def _tool(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
