"""The points of a COLMAP model, and which images see each."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.scenes.scene import Doubles

MAX_POINTS = 20_000_000
MAX_SIGHTINGS = 100_000_000  # of all points together
_LARGEST = 1e12


@dataclass(frozen=True, eq=False)
class Tracks:
    """P points and T sightings, sorted by image.

    places  [P,3] float64, in the model's world
    images  [T] int64: numbers of images
    points  [T] int64: places in `places`
    """

    places: Doubles
    images: npt.NDArray[np.int64]
    points: npt.NDArray[np.int64]

    def seen_by(self, number: int) -> Doubles:
        """[N,3]: the points that an image sees."""
        first, last = np.searchsorted(self.images, [number, number + 1])
        return self.places[np.unique(self.points[first:last])]


class Gathered:
    """Points as a reader finds them. Raises InputError for too many, or no places."""

    def __init__(self) -> None:
        self._places, self._images, self._lengths = array("d"), array("q"), array("q")

    def add(self, place: tuple[float, float, float], images: list[int]) -> None:
        """A point, and the numbers of the images that see it."""
        if not all(abs(value) <= _LARGEST for value in place):  # False for NaN
            raise InputError(f"a point at {list(place)}: expected finite numbers")
        self._places.extend(place)
        self._images.extend(images)
        self._lengths.append(len(images))
        if len(self._lengths) > MAX_POINTS or len(self._images) > MAX_SIGHTINGS:
            raise InputError(
                f"over {MAX_POINTS} points, or {MAX_SIGHTINGS} in the tracks of all: make a model "
                "of fewer images"
            )

    def tracks(self) -> Tracks:
        lengths = np.array(self._lengths, np.int64)
        images, points = (
            np.array(self._images, np.int64),
            np.repeat(np.arange(len(lengths)), lengths),
        )
        order = np.argsort(images, kind="stable")
        places = np.array(self._places, np.float64).reshape(-1, 3)
        return Tracks(places, images[order], points[order])
