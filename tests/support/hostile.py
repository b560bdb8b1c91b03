"""Writes a folder of images that a batch job has to survive, some good and most of them not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from PIL import Image

HEIGHT_PX, WIDTH_PX = 70, 98


def picture(height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX, seed: int = 0) -> Image.Image:
    """Waves with noise, RGB: every row and column differs, so no flip goes unseen."""
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    waves = np.stack([np.sin(columns / 7), np.cos(rows / 9), np.sin((rows + columns) / 13)], -1)
    noise = np.random.default_rng(seed).normal(0, 12, waves.shape)
    pixels: npt.NDArray[np.uint8] = np.clip(127 + 110 * waves + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file; `kind` and `options` are Pillow's."""
    file = io.BytesIO()
    image.copy().save(file, kind, **options)  # saving leaves settings behind in the image
    return file.getvalue()


def write_hostile_folder(folder: Path) -> dict[str, Optional[str]]:
    """Write the images; returns, by file name, what has to happen.

    None: the image is processed. Otherwise it is refused, with a reason that the regular
    expression finds. Nothing else is in the folder.
    """
    jpeg = encoded(picture(seed=1), "JPEG", quality=90)
    png = encoded(picture(seed=2), "PNG")
    turned = Image.Exif()
    turned[0x0112] = 6
    files: dict[str, tuple[bytes, Optional[str]]] = {
        "cmyk.jpg": (encoded(picture(seed=3).convert("CMYK"), "JPEG"), None),
        "empty.jpg": (b"", "empty"),
        "good.jpg": (jpeg, None),
        "good.png": (png, None),
        "größe-深度.jpg": (encoded(picture(seed=4).convert("L"), "JPEG"), None),
        "one_pixel.png": (encoded(picture(1, 1), "PNG"), None),
        "text.jpg": (b"This is not a picture.\n" * 20, "not an image"),
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "truncated.png": (png[: len(png) // 2], "truncated"),
        "turned.jpg": (encoded(picture(seed=5), "JPEG", exif=turned), None),
        "wide.png": (encoded(picture(10, 20_000), "PNG"), r"aspect|wide|ratio"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    return {name: outcome for name, (_, outcome) in files.items()}
