"""Run in a process of its own: a file of a preset, read by the code of the tool that it is for.

    python -m tests.support.readers GROUP READER PLACE FILE OUT.npz

GROUP is a module beside. PLACE is a checkout of the tool, or a folder of checkouts by their names.
Of `open3d` it is the folder that Open3D and its numpy are installed in, and PYTHONPATH names it.
OUT holds what the reader gives.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np


def main() -> None:
    group, name, place, file, out = sys.argv[1:]
    readers = importlib.import_module(f"tests.support.readers.{group}")
    sys.path.pop(0)  # the working folder, so that the tool finds no package of ours
    np.savez(out, **getattr(readers, name)(Path(place), Path(file)))


if __name__ == "__main__":
    main()
