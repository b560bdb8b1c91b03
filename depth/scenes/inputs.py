"""Images of a scene as network inputs of one size, and where each input lies in its image.

A plan says it for sizes alone, so that it is known before an image is decoded. The rules are those
of upstream's input processor.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from depth.artifact.steps import HostStep, Normalise, Resize
from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.preprocess import Preparation
from depth.sizes import LOWER, UPPER, Size, SizeRule, size_text

logger = logging.getLogger(__name__)

METHODS = {  # what `process_res` bounds, and whether sides are cut down to multiples
    "upper_bound_resize": (UPPER, False),
    "upper_bound_crop": (UPPER, True),
    "lower_bound_resize": (LOWER, False),
    "lower_bound_crop": (LOWER, True),
}
MIXED = CROP, GROUP = "crop", "group"  # what becomes of images of several sizes

Pixels = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Where the network's input lies in its source image: x = scale * source x - cut.

    source  (height, width) px of the image
    scale   along x and y
    cut     px of the scaled image that the input has not, at the left and at the top
    """

    source: Size
    scale: tuple[float, float]
    cut: tuple[float, float] = (0, 0)

    def lens(self, intrinsics: Doubles) -> Doubles:
        """Intrinsics [3,3] in px of the source image -> in px of the network's input."""
        found = intrinsics.copy()
        found[:2] *= np.array(self.scale)[:, None]
        found[:2, 2] -= self.cut
        return found

    def window(self, size: Size) -> tuple[float, float, float, float]:
        """(left, top, width, height) px: what the source image has of an input of this size."""
        (across, down), (height, width) = self.scale, self.source
        left, top = self.cut[0] / across, self.cut[1] / down
        return left, top, min(size[1] / across, width - left), min(size[0] / down, height - top)

    @property
    def scaled(self) -> Size:
        """(height, width) px of the scaled image."""
        return round(self.source[0] * self.scale[1]), round(self.source[1] * self.scale[0])


@dataclass(frozen=True)
class Plan:
    """How images become network inputs of one size.

    size    (height, width) px of every input
    views   which of the given images are in the scene, by number
    places  of those
    rule    of the sizes
    cuts    the method cuts sides down to multiples, after one resize
    mixed   the images have inputs of several sizes of their own
    fitted  the inputs are parts of the images, resized to a size that no rule gave
    """

    size: Size
    views: tuple[int, ...]
    places: tuple[Place, ...]
    rule: SizeRule
    cuts: bool = False
    mixed: bool = False
    fitted: bool = False

    def at(self, size: Size) -> Plan:
        """The same parts of the images at another size: slightly stretched, never padded."""
        if size == self.size:
            return self
        places = tuple(_stretched(place, self.size, size) for place in self.places)
        return replace(self, size=size, places=places, fitted=True)


def check_method(method: str) -> None:
    """Raises InputError that lists the methods there are."""
    if method not in METHODS:
        raise InputError(f"process_res_method {method!r}: choose from {', '.join(METHODS)}")


def planned(
    images: Sequence[Size], rule: SizeRule, process_res: int, method: str, mixed: str = CROP
) -> Plan:
    """The plan for images of these (height, width) px.

    rule         of the model: its multiple and rounding
    process_res  px of the long side (`upper_bound_*`) or the short side (`lower_bound_*`)
    method       `*_resize` goes to the nearest multiples of the rule, `*_crop` cuts down to them
    mixed        CROP: inputs of several sizes are cut around their centres to the least height and
                 width. GROUP: the largest group of inputs of one size stays. The log says both

    Raises InputError for an unknown method, no images, or an image that would be too large.
    """
    check_method(method)
    if not images:
        raise InputError("no images")
    bound, cuts = METHODS[method]
    rule = replace(rule, bound=bound, side_px=process_res)
    found = [_cut(size, rule) if cuts else _resized(size, rule) for size in images]
    sizes = [size for size, _ in found]
    views, size = tuple(range(len(images))), sizes[0]
    if len(set(sizes)) > 1 and mixed == GROUP:
        size = Counter(sizes).most_common(1)[0][0]
        views = tuple(number for number in views if sizes[number] == size)
        logger.warning(
            "%d of %d images have another size than %s px and are left out",
            len(sizes) - len(views),
            len(sizes),
            size_text(size),
        )
    elif len(set(sizes)) > 1:
        size = min(height for height, _ in sizes), min(width for _, width in sizes)
        logger.warning(
            "images of %s px are cropped around their centres to %s px",
            ", ".join(map(size_text, sorted(set(sizes)))),
            size_text(size),
        )
    places = tuple(_centred(found[number][1], sizes[number], size) for number in views)
    return Plan(size, views, places, rule, cuts, len(set(sizes)) > 1)


class Inputs:
    """Pixels to network inputs, by the steps before the network. Safe in any thread.

    steps  a `Resize`, and a `Normalise` unless the program normalises itself

    Raises InputError for steps that this version does not do.
    """

    def __init__(self, steps: Sequence[HostStep], rule: SizeRule) -> None:
        Preparation(steps, rule)
        self._twice = tuple(steps)
        self._once = [replace(s, passes=1) if isinstance(s, Resize) else s for s in steps]
        normalise = [step for step in steps if isinstance(step, Normalise)]
        self._normalise = normalise[0] if normalise else None

    def of(self, pixels: Pixels, plan: Plan, view: int) -> FloatArray:
        """[1,3,h,w] of the `view`-th view of a plan; pixels [H,W,3] uint8, BGR."""
        place, given = plan.places[view], (pixels.shape[0], pixels.shape[1])
        if place.source != given:
            raise InputError(
                f"an image of {size_text(given)} px, planned as {size_text(place.source)}"
            )
        prepare = Preparation(self._once if plan.cuts else self._twice, plan.rule)
        if plan.fitted:
            x, y, wide, high = map(round, place.window(plan.size))
            return prepare(pixels[y : y + high, x : x + wide], plan.size)
        (left, top), (height, width) = map(int, place.cut), plan.size
        return prepare(pixels, place.scaled)[:, :, top : top + height, left : left + width]

    def shown(self, images: FloatArray) -> Pixels:
        """Network inputs [N,3,H,W] as RGB [N,H,W,3] uint8, not rounded, as upstream does."""
        levels = images.transpose(0, 2, 3, 1)
        if self._normalise is None:
            return np.clip(levels, 0, 255).astype(np.uint8)
        levels = levels * np.array(self._normalise.std) + np.array(self._normalise.mean)
        return (np.clip(levels, 0, 1) * 255).astype(np.uint8)


def centre(images: FloatArray, size: Size) -> FloatArray:
    """The part [N,3,h,w] around the centre of images [N,3,H,W]."""
    top, left = ((have - want) // 2 for have, want in zip(images.shape[2:], size))
    return images[:, :, top : top + size[0], left : left + size[1]]


def _resized(image: Size, rule: SizeRule) -> tuple[Size, Place]:
    size = rule.size_for(*image)
    return size, _whole(image, size)


def _cut(image: Size, rule: SizeRule) -> tuple[Size, Place]:
    rule.size_for(*image)  # refuses what is too large
    whole, multiple = rule.whole_px(*image), rule.multiple_px
    size = whole[0] // multiple * multiple, whole[1] // multiple * multiple
    rule.check(size)
    return size, _centred(_whole(image, whole), whole, size)


def _whole(image: Size, scaled: Size) -> Place:
    return Place(image, (scaled[1] / image[1], scaled[0] / image[0]))


def _centred(place: Place, have: Size, want: Size) -> Place:
    """The part of this (height, width) px around the centre of an input."""
    top, left = ((a - b) // 2 for a, b in zip(have, want))
    return replace(place, cut=(place.cut[0] + left, place.cut[1] + top))


def _stretched(place: Place, size: Size, wanted: Size) -> Place:
    """The input of a size, in whole px of its image, at the wanted size."""
    left, top, wide, high = place.window(size)
    x, y = round(left), round(top)
    wide, high = max(1, round(left + wide) - x), max(1, round(top + high) - y)
    scale = wanted[1] / wide, wanted[0] / high
    return Place(place.source, scale, (x * scale[0], y * scale[1]))
