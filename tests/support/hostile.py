"""Images that a batch job has to survive: a folder of them, and files damaged at random."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from PIL import Image

HEIGHT_PX, WIDTH_PX = 70, 98
_PNG = b"\x89PNG\r\n\x1a\n"
_EXTREME = (0, 1, -1, -2, 1 << 15, 1 << 31, (1 << 31) - 1, (1 << 16) - 1, 20_000, 100_000)


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


def mutations(samples: Mapping[str, bytes], seed: int) -> Iterator[tuple[str, bytes]]:
    """Damaged image files without end, each with the name of its sample; the same for a seed.

    Bytes are altered, cut out, put in, doubled and taken from other files, mostly near the start,
    where headers are. Numbers become extreme. Half of the PNG files get right checksums again.
    """
    generator = np.random.default_rng(seed)
    names = sorted(samples)
    while True:
        name = names[generator.integers(len(names))]
        data = bytearray(samples[name])
        for _ in range(generator.integers(1, 5)):
            other = samples[names[generator.integers(len(names))]]
            _damage(data, other, generator)
        if data.startswith(_PNG) and generator.random() < 0.5:
            data = bytearray(_with_checksums(bytes(data)))
        yield name, bytes(data)


def _damage(data: bytearray, other: bytes, generator: np.random.Generator) -> None:
    reach = min(len(data), 200 if generator.random() < 0.7 else len(data))
    at = int(generator.integers(reach + 1))
    length = int(generator.integers(1, 9 if generator.random() < 0.7 else 400))
    kind = generator.integers(7)
    if kind == 0:
        data[at : at + 1] = generator.bytes(1)
    elif kind == 1:
        data[at : at + length] = generator.bytes(length)
    elif kind == 2:
        del data[at : at + length]
    elif kind == 3:
        data[at:at] = data[at : at + length]
    elif kind == 4:
        data[at : at + length] = other[at : at + length]
    elif kind == 5:
        number = _EXTREME[generator.integers(len(_EXTREME))]
        order: Any = ("little", "big")[generator.integers(2)]
        size = (2, 4, 8)[generator.integers(3)]
        data[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, order)
    else:
        del data[max(at, len(data) // 2) :]


def _with_checksums(data: bytes) -> bytes:
    """A PNG file with right checksums, as far as its chunks go."""
    parts, position = [data[:8]], 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            break
        body = data[position + 4 : end]
        parts += [data[position : position + 4], body, zlib.crc32(body).to_bytes(4, "big")]
        position = end + 4
    return b"".join([*parts, data[position:]])
