"""The images of a scene: opened, planned by their sizes, decoded and made network inputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import numpy as np

from depth.errors import InputError
from depth.images.given import Given, hold
from depth.images.read import ImageFile, SourceImage, decode
from depth.maps.result import FloatArray
from depth.scenes.inputs import Inputs, Plan
from depth.scenes.scene import Source
from depth.scenes.sources import source_of_image
from depth.sizes import Size
from serve.jobs.memory import Room, default_limit_bytes
from serve.scenes import asked
from serve.scenes.watch import Watch

_READERS = 4  # images that are decoded at once


@dataclass(frozen=True, eq=False)
class OpenedImage:
    """An image whose size is known; a file is not decoded yet."""

    content: Union[ImageFile, SourceImage]
    path: Optional[Path] = None  # of its file

    @property
    def size(self) -> Size:
        """(height, width) px, upright."""
        return self.content.header.height_px, self.content.header.width_px

    @property
    def held_bytes(self) -> int:
        """In memory, before it is decoded."""
        content = self.content
        return len(content.data) if isinstance(content, ImageFile) else content.pixels.nbytes

    def source(self, window: tuple[float, float, float, float]) -> Source:
        """For exports: a file is read again, or decoded again, when an export writes it."""
        return source_of_image(self.content, self.path, window)

    def decoded(self) -> SourceImage:
        """Its pixels. Raises ImageError."""
        return decode(self.content) if isinstance(self.content, ImageFile) else self.content


def opened(images: Sequence[Given], colour_order: str, first: int = 0) -> list[OpenedImage]:
    """Take images from their owner, and read their files.

    colour_order  of arrays, `rgb` or `bgr`
    first         the number of the first image, for messages

    Raises ImageError or InputError, with its number, for an image that is none, and InputError for
    images that take more memory than images may.
    """
    found, left = [], default_limit_bytes()
    for number, image in enumerate(images, first):
        found.append(_opened(number, image, colour_order))
        left -= found[-1].held_bytes
        if left < 0:
            raise InputError(
                f"{len(images)} images: the first {len(found)} take {default_limit_bytes()} bytes "
                "and more before they are decoded; take fewer, or smaller files"
            )
    return found


def _opened(number: int, image: Given, colour_order: str) -> OpenedImage:
    path = Path(os.fsdecode(image)) if isinstance(image, (str, os.PathLike)) else None
    try:
        found = OpenedImage(hold(image, colour_order).open(), path)
        found.content.header  # noqa: B018 - refused now if it cannot be parsed
    except InputError as error:
        raise type(error)(f"image {number}: {error}") from error
    return found


def inputs_of(
    images: Sequence[OpenedImage],
    plan: Plan,
    inputs: Inputs,
    room: Room,
    watch: Optional[Watch] = None,
) -> FloatArray:
    """Network inputs [S,3,h,w] of the views of a plan, decoded a few at a time.

    room  memory that images may take meanwhile

    Raises ImageError for a damaged image, and what `watch` raises.
    """
    made = np.empty((len(plan.views), 3, *plan.size), np.float32)

    def make(view: int) -> None:
        image = images[plan.views[view]]
        with room.taken(image.content.header):
            made[view] = inputs.of(image.decoded().pixels, plan, view)[0]

    count = len(plan.views)
    with ThreadPoolExecutor(min(_READERS, count), "scene") as pool:
        futures = [pool.submit(make, view) for view in range(count)]
        try:
            for done, future in enumerate(futures, 1):
                future.result()
                if watch is not None:
                    watch.step(asked.READ, done, count)
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return made
