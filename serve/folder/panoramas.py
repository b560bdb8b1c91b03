"""Panoramas as a folder job: the options of its commands, and what they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from depth.command import choice_option, takes_options
from depth.errors import InputError
from serve.folder.options import FolderOptions

if TYPE_CHECKING:
    from depth.sizes import SizeRule
    from serve.folder.request import FolderJob
    from serve.jobs.stop import Stop
    from serve.library import Library
    from serve.panoramas.asked import PanoramaAsked


@dataclass(frozen=True)
class PanoramaOptions:
    """What a user asks of panoramas. The defaults are typer's: a command gives every value."""

    input: Path = typer.Argument(
        help="An equirectangular image, a folder of such images, or a video of such frames."
    )
    output: Path = FolderOptions.output
    format: list[str] = choice_option(
        ["png"], ("png", "npy", "npz", "pfm", "exr", "tiff"), "png: 16-bit. Repeat it for several."
    )
    preview: Optional[bool] = FolderOptions.preview
    views: str = choice_option(
        "tangent10",
        ("cube6", "tangent10", "rows18"),
        "The views that a panorama is cut into. cube6: 6 of 110 degrees. tangent10: 8 around, up "
        "and down, of 110 degrees. rows18: 8 around, 4 above, 4 below, up and down, of 80 degrees.",
    )
    fov_deg: float = typer.Option(
        0.0, help="Angle of view of the views in degrees; by default what --views says."
    )
    view_px: int = typer.Option(
        0, help="Side of the views in px; by default what the network sees, so nothing is resized."
    )
    align: Optional[str] = choice_option(
        None,
        ("affine", "scale", "none"),
        "What each view may be changed by so that views agree, in inverse depth. By default affine "
        "(scale and shift) for relative inverse depth, else scale.",
    )
    cube_faces: bool = typer.Option(
        False,
        "--cube-faces",
        help="Also write six views of 90 degrees with depth along their axes: cube/images/front/ "
        "NAME.jpg, cube/depth/front/NAME.png and so on, and cube/rig_SIDE.json for COLMAP.",
    )
    save_views: bool = typer.Option(
        False, "--save-views", help="The same of the views of --views, below views/."
    )
    fps: float = typer.Option(
        1.0, help="Frames per second to take of a video: every n-th frame, n = its rate / fps."
    )
    output_size: str = choice_option(
        "full",
        ("full", "model"),
        "full: a depth value for every pixel of the panorama. model: as fine as the views.",
    )
    retry_failed: bool = FolderOptions.retry_failed
    fail_fast: bool = FolderOptions.fail_fast
    dry_run: bool = FolderOptions.dry_run
    memory_gb: Optional[float] = FolderOptions.memory_gb

    def asked(self) -> PanoramaAsked:
        """How panoramas are cut and joined. Raises InputError for what cannot be."""
        from serve.panoramas.asked import PanoramaAsked

        return PanoramaAsked(self.views, self.fov_deg, self.view_px, self.align or "")

    def job(self, **facts: Any) -> FolderJob:
        """The folder job. `facts`: of the weights; further arguments of FolderJob.

        Raises InputError for options that do not go together.
        """
        from depth.presets.names import CUBE_FACES, TANGENT_VIEWS
        from serve.folder.request import FolderJob

        if self.cube_faces and self.save_views:
            raise InputError("--cube-faces and --save-views: give one of them, and run again")
        return FolderJob(
            self.input,
            self.output,
            formats=self.format,
            preset=CUBE_FACES if self.cube_faces else TANGENT_VIEWS if self.save_views else "",
            preview=self.preview is not False,
            retry_failed=self.retry_failed,
            fail_fast=self.fail_fast,
            dry_run=self.dry_run,
            memory_gb=self.memory_gb,
            **facts,
        )

    def run(
        self,
        library: Library,
        job: FolderJob,
        stop: Stop,
        policy: str,
        size_rule: Optional[SizeRule] = None,
    ) -> int:
        """Run the job through the programs of a library, and print; returns the exit code."""
        from serve.folder.cli import run
        from serve.folder.frames import is_video, run_frames
        from serve.panoramas.engine import PanoramaEngine
        from serve.panoramas.steady import in_scale

        with PanoramaEngine(
            library, policy, size_rule, output_size=self.output_size, asked=self.asked()
        ) as engine:
            frames = partial(run_frames, engine, job, self.fps, in_scale, stop=stop)
            return run(engine, job, stop, frames if is_video(self.input) else None)


takes_panorama_options = takes_options(PanoramaOptions)
