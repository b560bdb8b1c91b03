"""How many views a scene may have, and what models of scenes refuse. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence

from depth.errors import InputError
from depth.family import Model, models

VIEWS = (1, 2, 4)  # of scenes, if no number is named
MOST_VIEWS = 512


def check_scenes(
    model: Model, views: Sequence[int], rays: bool, calibrated: bool, measured: bool = False
) -> None:
    """Raise InputError for what scenes cannot have, or single images cannot.

    calibrated  the precision is one that is calibrated on images
    measured    the precision is `auto`
    """
    if not model.takes_scenes:
        if rays or any(count != 1 for count in views):
            several = ", ".join(row.name for row in models().values() if row.takes_scenes)
            raise InputError(
                f"model {model.name!r} takes one image at a time: --views and --rays are for "
                f"models of scenes: {several}"
            )
        return
    if any(not 1 <= count <= MOST_VIEWS for count in views):
        raise InputError(f"views {list(views)}: a scene has 1 to {MOST_VIEWS}")
    if rays and model.rays is None:
        raise InputError(f"model {model.name!r} has no rays: leave out --rays")
    if calibrated or measured:
        raise InputError(
            f"model {model.name!r} is compiled in fp32 or bf16: int8 and auto are calibrated and "
            "measured on single images"
        )
