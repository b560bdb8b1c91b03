"""The host steps after the network: maps as it gave them, to maps of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from depth.artifact.steps import NAMES, HostStep, MetresFromFocal, ResizeBack, SkyToFar
from depth.errors import InputError
from depth.family import DEPTH, SKY
from depth.maps.result import Focal, Map
from depth.postprocess import resize_depth
from depth.sizes import Size
from depth.steps.metres import metres_from_focal
from depth.steps.sky import sky_to_far

AFTER = (SkyToFar, MetresFromFocal, ResizeBack)  # the steps there are after a network
Maps = dict[str, Map]


@dataclass(frozen=True)
class View:
    """One image as the network saw it."""

    image_size: Size  # (height, width) px
    network_size: Size
    focal: Optional[Focal] = None  # in px of the network's input


def check(steps: Sequence[HostStep]) -> None:
    """Raises InputError for a step or parameter that this version does not do after a network."""
    for step in steps:
        if not isinstance(step, AFTER):
            raise InputError(f"step {_name(step)!r}: this version does not do it after a network")
        if isinstance(step, ResizeBack) and (step.interpolation, step.align_corners) != (
            "bilinear",
            True,
        ):
            raise InputError(
                f"resize_back by {step.interpolation}, align_corners {step.align_corners}: this "
                "version does bilinear with aligned corners"
            )


def finish(
    steps: Sequence[HostStep], maps: Mapping[str, Map], view: View, full_size: bool
) -> dict[str, Map]:
    """The maps [h,w] of a network after every step; [H,W] of the image if `full_size`.

    Raises InputError as `check`, or if a step needs a map that is not there.
    """
    check(steps)
    result = dict(maps)
    for step in steps:
        if full_size or not isinstance(step, ResizeBack):
            result = _done(step, result, view)
    return result


def step_names(steps: Sequence[HostStep], view: View, full_size: bool) -> tuple[str, ...]:
    """The steps of `finish` that do something, by name; a seed as sky_to_far(seed=0)."""
    return tuple(_name(step) for step in steps if _runs(step, view, full_size))


def _runs(step: HostStep, view: View, full_size: bool) -> bool:
    if isinstance(step, ResizeBack):
        return full_size
    return view.focal is not None if isinstance(step, MetresFromFocal) else True


def _name(step: HostStep) -> str:
    name = NAMES.get(type(step), type(step).__name__)
    return f"{name}(seed={step.seed})" if isinstance(step, SkyToFar) else name


def _done(step: HostStep, maps: Maps, view: View) -> Maps:
    if isinstance(step, SkyToFar):
        depth, sky = _named(maps, DEPTH), _named(maps, SKY)
        return {**maps, DEPTH: replace(depth, values=sky_to_far(depth.values, sky.values, step))}
    if isinstance(step, MetresFromFocal):
        return {**maps, DEPTH: metres_from_focal(_named(maps, DEPTH), view.focal, step)}
    return {
        name: replace(found, values=resize_depth(found.values, view.image_size))
        for name, found in maps.items()
    }


def _named(maps: Maps, name: str) -> Map:
    if name not in maps:
        raise InputError(f"no output {name!r}, only {', '.join(maps)}: a step needs it")
    return maps[name]
