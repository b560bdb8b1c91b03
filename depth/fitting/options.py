"""The options of a fit onto measured depth, for every command that makes depth files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import typer

from depth.command import choice_option

if TYPE_CHECKING:
    from depth.fitting.fitter import Fitter

FIT: Any = typer.Option(
    None,
    metavar="PATH",
    help="Measured depth that the depth of each image is moved onto: a CSV file with the header "
    "x_px,y_px,depth_m[,image]; a 16-bit PNG of a depth sensor; a folder with such a file for each "
    "image; or the folder of a COLMAP model, such as sparse/0. Depth is then in metres, or in "
    "units of the COLMAP model.",
)
FIT_BY: Any = choice_option(
    "auto",
    ("auto", "scale", "scale_shift"),
    "auto: relative depth gets scale and shift, depth that knows its zero gets a scale.",
)
FIT_UNIT: Any = choice_option(
    None, ("m",), "m: the COLMAP model is in metres, and so is the fitted depth."
)
FIT_SCALE: Any = typer.Option(
    None, help="Metres of a code of the sensor's PNG files; by default 0.001, millimetres."
)


def fitter_by(
    fit: Optional[str], by: str, unit: Optional[str], step: Optional[float]
) -> Optional[Fitter]:
    """The fitter that the options ask for, or None. Raises InputError as `fitter_of`."""
    from depth.errors import InputError
    from depth.fitting.fitter import fitter_of

    if fit is None:
        if (by, unit, step) != ("auto", None, None):
            raise InputError("--fit-by, --fit-unit and --fit-scale say how to fit: give --fit too")
        return None
    return fitter_of(fit, by, unit, step)
