"""Options that the folder job has on both its command lines, inference.py and `serve folder`.

As default values: on Python 3.9 typer does not see `Annotated` in a module whose annotations are
text.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from depth.errors import InputError

if TYPE_CHECKING:
    from depth.steps.focal import FocalAsked

INPUT: Path = typer.Option(Path("input_images"), help="Folder of images.")
OUTPUT: Path = typer.Option(Path("output_depth"), help="Folder that receives depth files.")
FORMAT: list[str] = typer.Option(
    ["png"], help="png (16-bit), npy, npz, pfm, exr or tiff. Repeat it for several."
)
PREVIEW: bool = typer.Option(False, help="Also write a colour picture of each depth map.")
FOCAL_PX: Optional[float] = typer.Option(
    None,
    "--focal-px",
    help="Focal length of the camera in px of its images. A model that needs it for metres takes "
    "--focal-px, --fov-deg, --intrinsics or the EXIF data of each image, the first that is there.",
)
FOV_DEG: Optional[float] = typer.Option(
    None, "--fov-deg", help="Horizontal angle of view of the camera in degrees."
)
INTRINSICS: Optional[Path] = typer.Option(
    None,
    "--intrinsics",
    help="File with the camera's 3x3 matrix in px of its images: JSON, or three lines of text.",
)
PREPROCESS: str = typer.Option(
    "reference",
    help="reference: upstream's numbers. fast: less work per image, for large photographs at a "
    "reduced JPEG size; its error is in docs/host-path.md.",
)
OUTPUT_SIZE: str = typer.Option(
    "full",
    help="full: a depth value for every pixel of the image. model: the network's own size; the "
    "JSON says how positions correspond.",
)
RETRY_FAILED: bool = typer.Option(
    True,
    "--retry-failed/--keep-failed",
    help="Whether to try images again that failed before with the same bytes and settings.",
)
FAIL_FAST: bool = typer.Option(False, "--fail-fast", help="Stop at the first failure.")
DRY_RUN: bool = typer.Option(
    False, "--dry-run", help="Only print what would be done, and why; make nothing."
)

_MAX_MATRIX_BYTES = 10_000


def focal_asked(
    focal_px: Optional[float], fov_deg: Optional[float], intrinsics: Optional[Path]
) -> FocalAsked:
    """What the options say of the camera. Raises InputError for what no camera has."""
    from depth.steps.focal import FocalAsked

    return FocalAsked(focal_px, fov_deg, None if intrinsics is None else _matrix(intrinsics))


def _matrix(path: Path) -> list[list[float]]:
    """A 3x3 matrix in a file: a JSON list of three lists, or three lines of three numbers."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_MATRIX_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as intrinsics: {error}") from error
    try:
        rows: Any = json.loads(text) if text.lstrip().startswith("[") else _lines(text)
        matrix = [[float(number) for number in row] for row in rows]
    except (ValueError, TypeError, RecursionError):
        matrix = []
    if [len(row) for row in matrix] != [3, 3, 3]:
        raise InputError(
            f"{path}: expected a 3x3 matrix, as JSON or as three lines of three numbers"
        )
    return matrix


def _lines(text: str) -> list[list[str]]:
    """Numbers between spaces or commas, line by line."""
    return [re.split(r"[\s,;]+", line.strip(" ,;")) for line in text.splitlines() if line.strip()]
