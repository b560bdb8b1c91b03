"""The images of the views, which COLMAP and nerfstudio expect beside their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import cv2

from depth.errors import InputError
from depth.scenes.options import Options
from depth.scenes.scene import Pixels, Scene
from depth.scenes.view import has_images, image_of

FOLDER = "images"

_JPEG, _PNG = (".jpg", ".jpeg"), ".png"
_QUALITY = 95


def file_names(scene: Scene) -> list[str]:
    """The file name of each view's image: the view's name, with `.png` if it is no JPEG or PNG.

    Raises InputError if two views get the same.
    """
    names = [name if _suffix(name) in (*_JPEG, _PNG) else name + _PNG for name in scene.names]
    folded = {name.casefold(): name for name in names}
    if len(folded) < len(names):
        raise InputError(f"the image files of two views would have one name: of {scene.names}")
    return names


def names(scene: Scene, options: Options) -> list[str]:
    """None if the scene has no images."""
    found = file_names(scene)
    return [f"{FOLDER}/{name}" for name in found] if has_images(scene, options.size) else []


def files(scene: Scene, options: Options) -> Iterator[tuple[str, bytes]]:
    """One by one: only one image is in memory."""
    for view, name in enumerate(file_names(scene)):
        pixels = image_of(scene, view, options.size)
        if pixels is not None:
            yield f"{FOLDER}/{name}", encoded(pixels, _suffix(name))


def encoded(pixels: Pixels, suffix: str) -> bytes:
    """A JPEG or PNG file of uint8 [H,W,3] RGB."""
    choice = [] if suffix == _PNG else [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    return cv2.imencode(suffix, pixels[..., ::-1], choice)[1].tobytes()


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
