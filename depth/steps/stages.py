"""The stages of a model of any number of views, and what they exchange: numpy arrays.

A torch network, the saved files of an artifact and the serving engine each are such stages, and
`depth/steps/views.py` drives all of them in the same way.

Shapes: V views of any scenes | S views of one scene | H W pixels | h w patch grid
        N = 1 + h*w tokens | C width of a token | D width of a feature
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.sizes import Size

PREFIX, CAMERAS, TRUNK, HEAD = "prefix", "cameras", "trunk", "head"
RAYS = "head_rays"  # in place of `head` where rays are asked for
METRIC = "metric"  # a second network, of one view, that knows metres: images to depth and sky


@dataclass(frozen=True, eq=False)
class Prefixes:
    """What the first stage says of V views, each for itself: scenes may share them."""

    tokens: FloatArray  # [V,N,C]
    class_tokens: FloatArray  # [V,C]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, views: slice) -> Prefixes:
        return Prefixes(self.tokens[views], self.class_tokens[views])


class Stages(Protocol):
    """The stages of a model at one size of images."""

    @property
    def size(self) -> Size:
        """(height, width) px of the network's input."""

    def prefix(self, images: FloatArray) -> Prefixes:
        """Normalised images [V,3,H,W] of any scenes. Raises InputError for other shapes."""

    def cameras(self, codes: FloatArray, known: bool) -> FloatArray:
        """Cameras as nine numbers [S,9] to camera tokens [S,C].

        known  False: the learned tokens of a scene of S views; the codes do not count
        """

    def trunk(self, tokens: FloatArray, camera_tokens: FloatArray) -> tuple[FloatArray, FloatArray]:
        """[S,N,C], [S,C], the reference view first, to features [S,h*w,D] and codes [S,9]."""

    def head(self, features: FloatArray, rays: bool) -> tuple[FloatArray, ...]:
        """[V,h*w,D] to depth and confidence [V,H,W].

        rays  also rays [V,8h,8w,6] and their confidence [V,8h,8w]
        """


def check_images(images: FloatArray, size: Size) -> None:
    """Raise InputError unless these are one or more images [V,3,H,W] of this size."""
    if images.ndim != 4 or not len(images) or images.shape[1:] != (3, *size):
        raise InputError(
            f"images {images.shape}: expected (views,3,height,width) with at least 1 view, of "
            f"{size[0]}x{size[1]} px"
        )
