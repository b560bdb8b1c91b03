"""Depth of the points of a COLMAP model, in each of its images."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth.errors import FitError
from depth.files import sha256_bytes
from depth.fitting.names import Names
from depth.fitting.samples import Doubles, Samples, digest_of, onto_image
from depth.images.header import ImageHeader
from depth.maps.fit import COLMAP
from depth.scenes.colmap.folder import read_model, read_points
from depth.scenes.colmap.posed import Posed
from depth.scenes.colmap.tracks import Tracks


@dataclass(frozen=True, eq=False)
class ModelReference:
    """A model: its images by name, and its points with the images that see them.

    metric  whether the model is known to be in metres
    """

    images: dict[str, Posed]
    tracks: Tracks
    names: Names
    metric: bool = False
    source: str = COLMAP
    of_one_image: bool = False

    def digest(self) -> str:
        return digest_of(self.images, self._sha256)

    def check(self, images: Collection[str]) -> None:
        self.names.check(images)

    def sha256(self, image: str) -> str:
        return self._sha256(self.names.of(image))

    def _sha256(self, name: str) -> str:
        x, y, depth = self._seen(self.images[name])
        return sha256_bytes(np.stack([x, y, depth]).tobytes())

    def samples(self, image: str, header: ImageHeader) -> Samples:
        shown = self.images[self.names.of(image)]
        x, y, depth = self._seen(shown)
        if not len(depth):
            raise FitError(f"{shown.name}: the model has no point that it sees")
        size = shown.lens.size
        inside = (x > 0) & (y > 0) & (x < size[1]) & (y < size[0]) & (depth > 0)
        if not inside.any():
            behind = int((depth <= 0).sum())
            raise FitError(
                f"no point of the model is in the picture of {shown.name}: of {len(depth)} that it "
                f"sees, {behind} are behind its camera"
            )
        # COLMAP counts px from the image's corner, and takes the image as its file stores it.
        places = onto_image(x[inside] - 0.5, y[inside] - 0.5, size, header, stored_first=True)
        return Samples(*places, depth[inside])

    def _seen(self, shown: Posed) -> tuple[Doubles, Doubles, Doubles]:
        """Px from the corner, and depth, of the points that an image sees."""
        world = self.tracks.seen_by(shown.number)
        at = world @ shown.extrinsics[:, :3].T + shown.extrinsics[:, 3]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x, y = shown.lens.places(at[:, 0] / at[:, 2], at[:, 1] / at[:, 2])
        return x, y, at[:, 2]


def read_reconstruction(folder: Path, metric: bool) -> ModelReference:
    """The model in a folder. Raises InputError as `read_model` and `read_points`."""
    images = {each.name: each for each in read_model(folder)}
    return ModelReference(images, read_points(folder), Names(images), metric)
