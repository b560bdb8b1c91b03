"""Rendered scenes that `demo` never saw, with their true depth, as files to evaluate on.

    python -m tests.benchmarks.held_out FOLDER --count 48

FOLDER/images has the pictures, FOLDER/truth their depth as KITTI has it: 16-bit PNG, 256 for 1 m, 0
for sky and beyond 80 m.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import typer

from checkpoints.demo.evaluate import FARTHEST_M, held_out
from depth.maps import png
from tests.support.places import ROOT

_UNITS = 256


def main(folder: Path, count: int = typer.Option(48, min=1, help="How many scenes.")) -> None:
    """Render scenes into FOLDER."""
    if ROOT in folder.resolve().parents:
        raise typer.BadParameter("give a folder outside of the project")
    for name in ("images", "truth"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(held_out(count)):
        name = f"{number:04}-{scene.kind}.png"
        cv2.imwrite(str(folder / "images" / name), scene.image)
        near = scene.inverse_depth >= 1 / FARTHEST_M
        metres = np.where(near, 1 / np.maximum(scene.inverse_depth, 1 / FARTHEST_M), 0)
        codes = np.round(metres * _UNITS).astype(np.uint16)
        (folder / "truth" / name).write_bytes(png.encode(codes))


if __name__ == "__main__":
    typer.run(main)
