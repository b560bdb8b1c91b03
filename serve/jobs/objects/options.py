"""The options that jobs over stores share. As default values: see serve/folder/options.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from depth.command import choice_option, path_option
from depth.errors import InputError
from depth.fitting.options import FIT, FIT_BY, FIT_SCALE, FIT_UNIT
from depth.presets.names import formats_of
from depth.presets.options import FORMAT, PRESET

if TYPE_CHECKING:
    from serve.jobs.objects.making import Making
    from serve.jobs.objects.run import RunAsked

_POLICIES = ("exact", "buckets")


@dataclass(frozen=True)
class ObjectOptions:
    """What a user asks of a job over stores."""

    artifact: Optional[list[Path]] = typer.Option(
        None, help="Folder of an artifact. For several artifacts of the same model, repeat it."
    )
    store: Optional[str] = typer.Option(
        None, help="Store of the artifact, s3://bucket/prefix or a folder, instead of --artifact."
    )
    alias: Optional[str] = typer.Option(
        None, help="The artifact in the store: an alias such as vits/inf1/production, or identity."
    )
    kept_in: Path = path_option(Path("artifacts"), "Folder that keeps the store's artifact.")
    endpoint_url: Optional[str] = typer.Option(
        None, help="S3 server other than AWS; by default what the AWS settings say."
    )
    format: Optional[list[str]] = FORMAT
    preset: Optional[str] = PRESET
    preview: bool = typer.Option(
        False, "--preview", help="Also write a small picture of each depth map, with a legend."
    )
    policy: str = choice_option(
        "buckets",
        _POLICIES,
        "exact: upstream's size, which the artifact must have. buckets: its nearest shape.",
    )
    preprocess: str = choice_option(
        "reference", ("reference", "fast"), "reference: upstream's numbers. fast: less work."
    )
    output_size: str = choice_option(
        "full", ("full", "model"), "full: a value for every pixel. model: the network's own size."
    )
    focal_px: Optional[float] = typer.Option(
        None, help="Focal length of the camera in px of its images, for metres."
    )
    fov_deg: Optional[float] = typer.Option(
        None, help="Horizontal angle of view of the camera in degrees."
    )
    fit: Optional[str] = FIT
    fit_by: str = FIT_BY
    fit_unit: Optional[str] = FIT_UNIT
    fit_scale: Optional[float] = FIT_SCALE
    shard: str = typer.Option(
        "0/1", help="Which share of the images: i/n with i from 0 to n - 1, by a hash of the key."
    )
    verify: bool = typer.Option(
        False, "--verify", help="Compare the files of every result with its hashes."
    )
    fail_fast: bool = typer.Option(False, "--fail-fast", help="Stop at the first failure.")
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Only print what would be done, and why; write nothing."
    )
    allow_unverified: bool = typer.Option(
        False,
        "--allow-unverified",
        help="Serve an artifact whose numbers were not yet measured on its device.",
    )

    def making(self) -> Making:
        """What results are made with. Raises InputError without an artifact."""
        from serve.jobs.objects.making import Making

        if (self.store is None) != (self.alias is None) or bool(self.artifact) == bool(self.store):
            raise InputError("no artifact: give --artifact FOLDER, or --store and --alias")
        given = (self.store,) if self.store is not None else tuple(map(str, self.artifact or ()))
        return Making(
            given,
            self.alias,
            self.endpoint_url,
            self.kept_in,
            formats_of(self.format, self.preset or ""),
            self.preview,
            self.policy,
            self.preprocess,
            self.output_size,
            self.focal_px,
            self.fov_deg,
            self.allow_unverified,
            self.fit,
            self.fit_by,
            self.fit_unit,
            self.fit_scale,
            self.preset or "",
        )

    def asked(self) -> RunAsked:
        """What the run is to do. Raises InputError for a shard that there is not."""
        from serve.jobs.objects.run import RunAsked
        from serve.jobs.objects.shard import Shard

        return RunAsked(Shard.parse(self.shard), self.verify, self.fail_fast, self.dry_run)
