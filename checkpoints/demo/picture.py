"""The picture of the README: input, depth file and preview of some samples, side by side.

It shows what `inference.py` writes: the 16-bit depth files, and their colours in a preview.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import typer

from checkpoints.demo.samples import PICTURES, ROOT
from depth.maps.files import read_depth
from depth.maps.preview import colour_preview

NAMES = ("room", "street", "park")
OUT = ROOT / "docs" / "demo.jpg"
HEIGHT_PX = 200  # of one row
GAP_PX = 6
QUALITY = 88  # JPEG

Pixels = npt.NDArray[np.uint8]


def main(out: Path = typer.Option(OUT, help="Where the picture goes, a JPEG.")) -> None:
    """Run the demo model on the samples and draw input, 16-bit depth and preview of three."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "inference.py", "--model", "demo", "--no-preview"]
        command += ["--input", str(PICTURES), "--output", folder]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        rows = [row(name, Path(folder)) for name in NAMES]
    width = min(each.shape[1] for each in rows)
    gap = np.full((GAP_PX, width, 3), 255, np.uint8)
    parts = [part for each in rows for part in (fit(each, width), gap)]
    _, data = cv2.imencode(".jpg", np.vstack(parts[:-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(data.tobytes())
    typer.echo(str(out))


def row(name: str, folder: Path) -> Pixels:
    """Input, depth (stretched to its own range) and preview of one sample, [HEIGHT_PX,W,3]."""
    depth = cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_UNCHANGED).astype(np.float32)
    grey = (255 * (depth - depth.min()) / max(1.0, float(np.ptp(depth)))).astype(np.uint8)
    pictures = (
        cv2.imread(str(PICTURES / f"{name}.jpg")),
        cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR),
        colour_preview(read_depth(folder / f"{name}.json").depth),
    )
    gap = np.full((HEIGHT_PX, GAP_PX, 3), 255, np.uint8)
    parts = [part for each in pictures for part in (_scaled(each), gap)]
    return np.hstack(parts[:-1])


def fit(picture: Pixels, width_px: int) -> Pixels:
    """The picture at this width, its proportions kept."""
    height_px = round(picture.shape[0] * width_px / picture.shape[1])
    return cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA)


def _scaled(picture: Pixels) -> Pixels:
    return fit(picture, round(picture.shape[1] * HEIGHT_PX / picture.shape[0]))


if __name__ == "__main__":
    typer.run(main)
