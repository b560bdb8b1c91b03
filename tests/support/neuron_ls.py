"""A stand-in of neuron-ls where Ray looks for it, seen by one process and its children only.

As root it runs a module in a mount namespace that has the stand-in, with four NeuronCores:

    python -m tests.support.neuron_ls MODULE ARGUMENT...
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CORES = 4
_TEXT = f"""#!/bin/sh
echo '[{{"neuron_device": 0, "bdf": "00:1f.0", "nc_count": {CORES}, "memory_size": 8589934592}}]'
"""
_IN_NAMESPACE = "DEPTH_TEST_NAMESPACE"


def possible() -> bool:
    """Whether this process may have a mount namespace of its own."""
    try:
        return subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0
    except FileNotFoundError:
        return False


def become(module: str, *arguments: str) -> None:
    """End as `python -m module` in a namespace with the stand-in; inside of it, return."""
    if os.environ.get(_IN_NAMESPACE):
        return
    os.environ[_IN_NAMESPACE] = "1"
    command = [sys.executable, "-m", "tests.support.neuron_ls", module, *arguments]
    os.execvp("unshare", ["unshare", "-m", *command])


def main() -> None:
    module, *arguments = sys.argv[1:]
    become(module, *arguments)
    folder = Path("/opt/aws/neuron/bin")
    subprocess.run(["mount", "-t", "tmpfs", "depth", "/opt"], check=True)
    folder.mkdir(parents=True)
    (folder / "neuron-ls").write_text(_TEXT)
    (folder / "neuron-ls").chmod(0o755)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


if __name__ == "__main__":
    main()
