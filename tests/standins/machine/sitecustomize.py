"""Makes a process see a machine with a chip: Python imports this module by itself, from PYTHONPATH.

The folder in the environment variable NEURON_STANDIN_MACHINE is that machine: `dev` for device
nodes, `tools` for AWS's tools, `sysfs` for what the driver says.
"""

from __future__ import annotations

import os
from pathlib import Path

_FOLDER = os.environ.get("NEURON_STANDIN_MACHINE")


def _pretend(machine: Path) -> None:
    from compile.targets import host
    from serve.runtimes import neuron_cores

    host.DEVICES = neuron_cores.NODES = machine / "dev"
    neuron_cores.TOOLS, neuron_cores.SYSFS = machine / "tools", machine / "sysfs"


if _FOLDER:
    _pretend(Path(_FOLDER))
