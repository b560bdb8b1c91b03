"""The options that `inference.py` and `serve folder` share, listed once.

As default values: on Python 3.9 typer does not see `Annotated` in a module whose annotations are
text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from depth.command import choice_option, path_option, takes_options
from depth.errors import InputError
from depth.files import read_text
from depth.fitting.options import FIT, FIT_BY, FIT_SCALE, FIT_UNIT, fitter_by
from depth.presets.options import FORMAT, PRESET

if TYPE_CHECKING:
    from depth.sizes import Size, SizeRule
    from depth.steps.focal import FocalAsked
    from serve.engine import Engine
    from serve.folder.request import FolderJob
    from serve.library import Library

_MAX_MATRIX_BYTES = 10_000


@dataclass(frozen=True)
class FolderOptions:
    """What a user asks of a folder job. The defaults are typer's: a command gives every value."""

    input: Path = path_option(
        Path("input_images"), "An image, or a folder of images.", "--input", "-i"
    )
    output: Path = path_option(
        Path("output_depth"), "Folder that receives depth files.", "--output", "-o"
    )
    format: Optional[list[str]] = FORMAT
    preset: Optional[str] = PRESET
    preview: Optional[bool] = typer.Option(
        None,
        "--preview/--no-preview",
        help="Also write a small picture of each depth map, with a legend, and index.html to look "
        "at them. inference.py does it by default.",
    )
    focal_px: Optional[float] = typer.Option(
        None,
        help="Focal length of the camera in px of its images. A model that needs it for metres "
        "takes --focal-px, --fov-deg, --intrinsics or the EXIF data of each image, the first that "
        "is there.",
    )
    fov_deg: Optional[float] = typer.Option(
        None, help="Horizontal angle of view of the camera in degrees."
    )
    intrinsics: Optional[Path] = path_option(
        None, "File with the camera's 3x3 matrix in px of its images: JSON, or three lines of text."
    )
    fit: Optional[str] = FIT
    fit_by: str = FIT_BY
    fit_unit: Optional[str] = FIT_UNIT
    fit_scale: Optional[float] = FIT_SCALE
    preprocess: str = choice_option(
        "reference",
        ("reference", "fast"),
        "reference: upstream's numbers. fast: less work per image, for large photographs at a "
        "reduced JPEG size; its error is in docs/host-path.md.",
    )
    output_size: str = choice_option(
        "full",
        ("full", "model"),
        "full: a depth value for every pixel of the image. model: the network's own size; the "
        "JSON says how positions correspond.",
    )
    retry_failed: bool = typer.Option(
        True,
        "--retry-failed/--keep-failed",
        help="Whether to try images again that failed before with the same bytes and settings.",
    )
    fail_fast: bool = typer.Option(False, "--fail-fast", help="Stop at the first failure.")
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Only print what would be done, and why; write nothing."
    )

    memory_gb: Optional[float] = typer.Option(
        None,
        help="Memory in GB that images under way may take. By default 2, or a third of the memory "
        "of the machine or control group if that is less.",
    )
    sequence: bool = typer.Option(
        False,
        "--sequence",
        help="The images are frames of a sequence, in natural order, or --input is a video: one "
        "range and one scale for all, a depth video, and the flicker before and after. See "
        "serve/sequences/README.md.",
    )
    range: Optional[str] = choice_option(
        None,
        ("sequence", "streaming", "frame"),
        "Of a sequence, what its pictures show. sequence (default): the range of all frames, in "
        "two passes. streaming: a moving average of each frame's percentiles, in one pass. frame: "
        "each frame's own.",
    )
    align: Optional[str] = choice_option(
        None,
        ("none", "neighbours"),
        "Of a sequence. neighbours (default): scale and shift of each frame are fitted to the "
        "frame before. none: depth as the network gives it.",
    )
    fps: Optional[float] = typer.Option(
        None,
        help="Of a video: how many frames per second to take, by default all. Of a folder: the "
        "rate of its frames, by default 24.",
    )

    def focal(self) -> FocalAsked:
        """The camera by these options. Raises InputError for values that no camera has."""
        from depth.steps.focal import FocalAsked

        matrix = None if self.intrinsics is None else _matrix(self.intrinsics)
        return FocalAsked(self.focal_px, self.fov_deg, matrix)

    def job(self, **facts: Any) -> FolderJob:
        """The folder job. `facts`: of the weights; further arguments of FolderJob."""
        from serve.folder.request import FolderJob

        return FolderJob(
            self.input,
            self.output,
            formats=self.format,
            preset=self.preset or "",
            preview=bool(self.preview),
            retry_failed=self.retry_failed,
            fail_fast=self.fail_fast,
            dry_run=self.dry_run,
            memory_gb=self.memory_gb,
            fit=fitter_by(self.fit, self.fit_by, self.fit_unit, self.fit_scale),
            **facts,
        )

    def engine(
        self,
        library: Library,
        policy: str,
        focal: FocalAsked,
        size_rule: Optional[SizeRule] = None,
        sizes: Collection[Size] = (),
    ) -> Engine:
        """An engine over the programs of a library. Raises InputError for an unknown value."""
        from serve.engine import Engine

        return Engine(library, policy, size_rule, sizes, self.preprocess, self.output_size, focal)


takes_folder_options = takes_options(FolderOptions)


def _matrix(path: Path) -> list[list[float]]:
    """A 3x3 matrix in a file: a JSON list of three lists, or three lines of three numbers."""
    try:
        text = read_text(path, _MAX_MATRIX_BYTES)
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
