"""The host steps after the network: maps as it gave them, to maps of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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


class Finishing:
    """The host steps after a network. Safe in any thread.

    Raises InputError for a step or parameter that this version does not do after a network.
    """

    def __init__(self, steps: Sequence[HostStep]) -> None:
        for step in steps:
            _check(step)
        self._steps = tuple(steps)

    def __call__(
        self, maps: Mapping[str, Map], image_size: Optional[Size], focal: Optional[Focal] = None
    ) -> dict[str, Map]:
        """The maps [h,w] of a network after every step.

        image_size  (height, width) px that maps are resized to; None to leave them as they are
        focal       focal length of the image in px of the network's input, if it is known

        Raises InputError if a step needs a map that is not there.
        """
        result = dict(maps)
        for step in self._steps:
            if isinstance(step, SkyToFar):
                depth, sky = _named(result, DEPTH), _named(result, SKY)
                result[DEPTH] = replace(depth, values=sky_to_far(depth.values, sky.values, step))
            elif isinstance(step, MetresFromFocal):
                result[DEPTH] = metres_from_focal(_named(result, DEPTH), focal, step)
            elif image_size is not None:
                result = {
                    name: replace(found, values=resize_depth(found.values, image_size))
                    for name, found in result.items()
                }
        return result


def step_names(steps: Sequence[HostStep], full_size: bool, has_focal: bool) -> tuple[str, ...]:
    """The steps that do something, by name; a seed as sky_to_far(seed=0).

    full_size  whether maps are resized to the image's size
    has_focal  whether the focal length of the image is known
    """
    idle = {ResizeBack: not full_size, MetresFromFocal: not has_focal}
    return tuple(_name(step) for step in steps if not idle.get(type(step)))


def _check(step: HostStep) -> None:
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


def _name(step: HostStep) -> str:
    name = NAMES.get(type(step), type(step).__name__)
    return f"{name}(seed={step.seed})" if isinstance(step, SkyToFar) else name


def _named(maps: Mapping[str, Map], name: str) -> Map:
    if name not in maps:
        raise InputError(f"no output {name!r}, only {', '.join(maps)}: a step needs it")
    return maps[name]
