"""The images of the views, which COLMAP and nerfstudio expect beside their files."""

from __future__ import annotations

from functools import partial
from pathlib import PurePosixPath

import cv2

from depth.errors import InputError
from depth.scenes.formats.files import Files
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


def files(scene: Scene, options: Options) -> Files:
    """None if the scene has no images."""
    names = file_names(scene) if has_images(scene, options.size) else []
    return {
        f"{FOLDER}/{name}": partial(_image, scene, view, options.size, _suffix(name))
        for view, name in enumerate(names)
    }


def _image(scene: Scene, view: int, size: str, suffix: str) -> bytes:
    return encoded(image_of(scene, view, size), suffix)


def encoded(pixels: Pixels, suffix: str) -> bytes:
    """A JPEG or PNG file of uint8 [H,W,3] RGB."""
    choice = [] if suffix == _PNG else [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    return cv2.imencode(suffix, pixels[..., ::-1], choice)[1].tobytes()


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
