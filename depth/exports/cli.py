"""`python main.py export`: a surface or points from depth files and their image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from depth.command import choice_option, path_option
from depth.errors import DepthFileError, InputError
from depth.fitting.options import FIT, FIT_BY, FIT_SCALE, FIT_UNIT, fitter_by
from depth.presets.names import PRESET_NAMES

if TYPE_CHECKING:
    from depth.fitting.fitter import Fitter
    from depth.images.read import SourceImage
    from depth.maps.result import Result
    from depth.steps.focal import FocalAsked

_IMAGE = path_option(
    None, "The image that the depth was made from; --preset needs it for iw3 alone."
)
_TO = path_option(
    ..., "NAME.glb: a surface. NAME.ply: points. Repeat it for both. With --preset: a folder."
)
_PRESET = choice_option(None, PRESET_NAMES, "Write depth as another tool reads it.")


def export(
    depth: Path = typer.Argument(help="A .json of inference.py, or a PNG or NPZ of it."),
    image: Optional[Path] = _IMAGE,
    to: list[Path] = _TO,
    preset: Optional[str] = _PRESET,
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
    """Make a surface, points or a preset of depth files.

    A surface is GLB, and points are PLY.

    Only metres give true distances: relative depth needs --fit. Without it, the file says which
    relation was chosen. Sky and the edges of things are left out. Prints the files.
    """
    from depth.exports.files import EXPORTS, encode_export
    from depth.files import write_whole
    from depth.images.read import read_image
    from depth.maps.files import read_depth
    from depth.steps.focal import FocalAsked

    asked = FocalAsked(focal_px, fov_deg)
    fitter = fitter_by(fit, fit_by, fit_unit, fit_scale)
    if preset is not None:
        _preset(depth, image, to, preset, asked, fitter)
        return
    if image is None:
        raise InputError("a surface has the colours of the image: give --image")
    kinds = [path.suffix.lower()[1:] for path in to]
    for path, kind in zip(to, kinds):
        if kind not in EXPORTS:
            raise InputError(f"--to {path}: expected a name that ends in .{' or .'.join(EXPORTS)}")
    result, source = read_depth(depth), read_image(image)
    _check_same(depth, source)
    if fitter is not None:
        result = _fitted(result, fitter, image, source)
    for path, kind in zip(to, kinds):
        data = encode_export(result, source.pixels, kind, asked, source.header.focal_px)
        try:
            write_whole(path, data)
        except OSError as error:
            raise DepthFileError(f"{path}: cannot be written: {error.strerror}") from error
        typer.echo(path)


def _preset(
    depth: Path,
    image: Optional[Path],
    to: list[Path],
    preset: str,
    asked: FocalAsked,
    fitter: Optional[Fitter],
) -> None:
    """Write the files of a preset into a folder, and the .json that lists them; print them."""
    from depth.images.read import read_image
    from depth.maps.files import SIDECAR_SUFFIX, read_depth, read_sidecar
    from depth.presets.files import save_result
    from depth.presets.shot import Shot
    from depth.presets.table import PRESETS

    if len(to) != 1 or to[0].resolve() == depth.parent.resolve():
        raise InputError("--preset: give one --to, a folder that is not that of the depth files")
    result = read_depth(depth)
    beside = depth.suffix == SIDECAR_SUFFIX
    source: dict[str, Any] = dict(read_sidecar(depth).source) if beside else {}
    known: dict[str, Any] = {"asked": asked}
    if image is not None:
        found = read_image(image)
        _check_same(depth, found)
        if fitter is not None:
            result = _fitted(result, fitter, image, found)
        known |= {"pixels": found.pixels, "exif_focal": found.header.focal_px}
    elif fitter is not None:
        raise InputError("--fit measures at places in the image: give --image")
    shot = Shot.of(source, **known)
    name = depth.stem
    if PRESETS[preset].whole_name and shot.name:
        name = Path(shot.name).name
    for path in save_result(result, to[0] / name, (), source, preset=preset, shot=shot):
        typer.echo(path)


def _fitted(result: Result, fitter: Fitter, path: Path, image: SourceImage) -> Result:
    """The result on measured depth; says how well the points agree."""
    moved = fitter.fitted(result, path.as_posix(), image.header)
    typer.echo(f"fitted: {moved.fit.text() if moved.fit else ''}", err=True)
    return moved


def _check_same(depth: Path, image: SourceImage) -> None:
    """Raises InputError if the .json says that the depth is of other bytes than the image's."""
    from depth.maps.files import SIDECAR_SUFFIX, read_sidecar

    if depth.suffix != SIDECAR_SUFFIX:
        return
    known: Any = read_sidecar(depth).source.get("sha256")
    if known and known != image.sha256:
        raise InputError(f"{depth}: its depth is of another image: give the one that it names")
