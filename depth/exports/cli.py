"""`python main.py export`: a surface or points from depth files and their image."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from depth.command import choice_option, path_option
from depth.console import counted, one_line
from depth.errors import DepthFileError, InputError
from depth.fitting.options import FIT, FIT_BY, FIT_SCALE, FIT_UNIT, fitter_by
from depth.presets.names import PRESET_NAMES

if TYPE_CHECKING:
    from depth.exports.presets import Made, PresetExport
    from depth.exports.stored import Stored
    from depth.fitting.fitter import Fitter
    from depth.steps.focal import FocalAsked

_PARTLY = 3

_DEPTH = typer.Argument(
    help="A .json of inference.py, or a PNG or NPZ of it. With --preset also several, or folders: "
    "every .json of a result in them.",
)
_IMAGE = path_option(
    None, "The image that the depth was made from; --preset needs it for iw3 alone."
)
_IMAGES = path_option(
    None,
    "With --preset: the folder of images that the depth was made from. The .json of each result "
    "names its image, and its sha256 is compared.",
)
_TO = path_option(
    ..., "NAME.glb: a surface. NAME.ply: points. Repeat it for both. With --preset: a folder."
)
_PRESET = choice_option(
    None, PRESET_NAMES, "Write depth as another tool reads it. docs: depth/presets/README.md."
)


def export(
    depth: list[Path] = _DEPTH,
    image: Optional[Path] = _IMAGE,
    images: Optional[Path] = _IMAGES,
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
    r"""Make a surface, points or a preset of depth files.

    A surface is GLB, and points are PLY.

    \b
    Examples:
      python main.py export output_depth/a.json --image a.jpg --to a.glb
      python main.py export output_depth --preset nerfstudio --to depths

    Results that cannot meet the preset are named, and the others are done: exit code 3.

    Only metres give true distances: relative depth needs --fit. Without it, the file says which
    relation was chosen. Sky and the edges of things are left out. Prints the files.
    """
    from depth.steps.focal import FocalAsked

    asked = FocalAsked(focal_px, fov_deg)
    fitter = fitter_by(fit, fit_by, fit_unit, fit_scale)
    if preset is not None:
        _preset(depth, to, preset, (asked, fitter, image, images))
    elif len(depth) != 1 or depth[0].is_dir() or images is not None:
        raise InputError("a surface is of one result and its --image: several are for --preset")
    elif image is None:
        raise InputError("a surface has the colours of the image: give --image")
    else:
        _surface(depth[0], image, to, asked, fitter)


def _surface(
    depth: Path, image: Path, to: list[Path], asked: FocalAsked, fitter: Optional[Fitter]
) -> None:
    """Write surfaces and points; print their paths."""
    from depth.exports.files import EXPORTS, encode_export
    from depth.exports.stored import read_original
    from depth.files import write_whole
    from depth.maps.files import read_depth

    kinds = [path.suffix.lower()[1:] for path in to]
    for path, kind in zip(to, kinds):
        if kind not in EXPORTS:
            raise InputError(f"--to {path}: expected a name that ends in .{' or .'.join(EXPORTS)}")
    result, source = read_depth(depth), read_original(depth, image)
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


def _preset(given: list[Path], to: list[Path], preset: str, options: tuple[Any, ...]) -> None:
    """Write the files of a preset into a folder, and a .json of each that lists them; print them.

    options  the further fields of PresetExport
    """
    from depth.exports.presets import PresetExport
    from depth.exports.stored import stored_in
    from depth.presets.table import preset_named

    if len(to) != 1:
        raise InputError("--preset: give one --to, a folder that is not that of the depth files")
    results = stored_in(given, to[0])
    export = PresetExport(preset_named(preset), to[0], *options)
    export.check(given, results.found)
    failed = _made(export, results.found)
    if len(failed) == len(results.found):
        if len(failed) == 1 and failed[0].error is not None:
            raise failed[0].error
        raise InputError(
            f"preset {preset}: none of the {len(failed)} results can give its files; the lines "
            "above say why"
        )
    path, without = export.write_summary()
    if path is not None:
        typer.echo(path)
    if without:
        typer.echo(f"note: {without}", err=True)
    if results.others:
        typer.echo(f"{results.others} other .json files are no results: left out", err=True)
    if failed:
        typer.echo(f"{len(failed)} of {len(results.found)} results failed", err=True)
        raise typer.Exit(_PARTLY)


def _made(export: PresetExport, found: list[Stored]) -> list[Made]:
    """Make the files of results and print them; returns those without files."""
    failed: list[Made] = []
    printed: set[Path] = set()  # results of a folder may share a file
    several = len(found) > 1
    with counted("results", len(found)) if several else nullcontext(lambda _: None) as show:
        for number, made in enumerate(export.run(found), 1):
            for path in made.files:
                if path not in printed:
                    typer.echo(path)
            printed.update(made.files)
            name = f"{one_line(str(made.stored.path))}: " * several
            if made.fit:
                typer.echo(f"fitted: {name}{made.fit}", err=True)
            if made.error is not None:
                failed.append(made)
                if several:
                    typer.echo(f"failed: {name}{one_line(str(made.error))}", err=True)
            show(number)
    return failed
