"""The machine and what is installed on it. Imports no SDK and opens no device."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Optional

from depth.cpu import read_cpu
from depth_anything.first_run.experiments.report import end
from serve.machine import read_memory

_RELEASE = Path("/etc/os-release")
_COMPILER = Path(sys.executable).parent / "neuron-cc"
_TIMEOUT_S = 60.0


def main() -> None:
    end(
        {
            "system": platform.platform(),
            "release": _release(),
            "cpu": asdict(read_cpu()),
            "memory": asdict(read_memory()),
            "load": os.getloadavg(),
            "python": platform.python_version(),
            "compiler": _compiler(),
            "packages": {d.metadata["Name"]: d.version for d in metadata.distributions()},
            # NEURON_* decides how the runtime behaves; no other variable leaves the machine.
            "environment": {k: v for k, v in os.environ.items() if k.startswith("NEURON_")},
        }
    )


def _release() -> Optional[str]:
    try:
        lines = _RELEASE.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return next((line[12:].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), None)


def _compiler() -> Optional[str]:
    """What `neuron-cc --version` says; None if the compiler is not here or does not start."""
    try:
        done = subprocess.run(
            [str(_COMPILER), "--version"], capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return (done.stdout + done.stderr).strip() or None


if __name__ == "__main__":
    main()
