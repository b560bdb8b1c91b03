"""`python main.py export`: a surface or points from depth files and their image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from depth.command import path_option
from depth.errors import DepthFileError, InputError
from depth.fitting.options import FIT, FIT_BY, FIT_SCALE, FIT_UNIT, fitter_by

if TYPE_CHECKING:
    from depth.images.read import SourceImage

_IMAGE = path_option(..., "The image that the depth was made from.")
_TO = path_option(..., "NAME.glb: a surface. NAME.ply: points. Repeat it for both.")


def export(
    depth: Path = typer.Argument(help="A .json of inference.py, or a PNG or NPZ of it."),
    image: Path = _IMAGE,
    to: list[Path] = _TO,
    focal_px: Optional[float] = typer.Option(
        None, help="Focal length of the camera in px of the image."
    ),
    fov_deg: Optional[float] = typer.Option(
        None,
        help="Horizontal angle of view in degrees. Without it, and without a focal length in the "
        "image's EXIF data, 60 is assumed, and the file says so.",
    ),
    fit: Optional[str] = FIT,
    fit_by: str = FIT_BY,
    fit_unit: Optional[str] = FIT_UNIT,
    fit_scale: Optional[float] = FIT_SCALE,
) -> None:
    """Make a surface (GLB) or points (PLY) of depth files.

    Only metres give true distances: relative depth needs --fit. Without it, the file says which
    relation was chosen. Sky and the edges of things are left out. Prints the files.
    """
    from depth.exports.files import EXPORTS, encode_export
    from depth.files import write_whole
    from depth.images.read import read_image
    from depth.maps.files import read_depth
    from depth.steps.focal import FocalAsked

    kinds = [path.suffix.lower()[1:] for path in to]
    for path, kind in zip(to, kinds):
        if kind not in EXPORTS:
            raise InputError(f"--to {path}: expected a name that ends in .{' or .'.join(EXPORTS)}")
    asked = FocalAsked(focal_px, fov_deg)
    fitter = fitter_by(fit, fit_by, fit_unit, fit_scale)
    result, source = read_depth(depth), read_image(image)
    _check_same(depth, source)
    if fitter is not None:
        result = fitter.fitted(result, image.as_posix(), source.header)
        typer.echo(f"fitted: {result.fit.text() if result.fit else ''}", err=True)
    for path, kind in zip(to, kinds):
        data = encode_export(result, source.pixels, kind, asked, source.header.focal_px)
        try:
            write_whole(path, data)
        except OSError as error:
            raise DepthFileError(f"{path}: cannot be written: {error.strerror}") from error
        typer.echo(path)


def _check_same(depth: Path, image: SourceImage) -> None:
    """Raises InputError if the .json says that the depth is of other bytes than the image's."""
    from depth.maps.files import SIDECAR_SUFFIX, read_sidecar

    if depth.suffix != SIDECAR_SUFFIX:
        return
    known: Any = read_sidecar(depth).source.get("sha256")
    if known and known != image.sha256:
        raise InputError(f"{depth}: its depth is of another image: give the one that it names")
