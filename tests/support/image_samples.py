"""One small image for every way of storing pixels that is accepted."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any, Optional, Union

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from depth.images.header import ImageHeader
from depth.images.read import ImageFile
from tests.support.hostile import encoded, picture

RGB = picture(71, 97)
GRAY = RGB.convert("L")
RGBA = Image.merge("RGBA", (*RGB.split(), GRAY))
JPEG = encoded(RGB, "JPEG", quality=90)
PNG = encoded(RGB, "PNG")
WIDE_SAMPLES = np.random.default_rng(0).integers(0, 1 << 16, (71, 97, 4)).astype(np.uint16)


def read_header(source: Union[bytes, Path]) -> ImageHeader:
    """What an image file says, given as bytes or by its path."""
    file = ImageFile(source, "x") if isinstance(source, bytes) else ImageFile.read(source)
    return file.header


def opencv(data: bytes) -> npt.NDArray[np.uint8]:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def by_opencv(suffix: str, pixels: npt.NDArray[Any], *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


ALPHA, SIXTEEN = "alpha channel ignored", "16-bit reduced to 8"
# name: bytes, format, mode, what a note has to say
STORED: dict[str, tuple[bytes, str, str, Optional[str]]] = {
    "png gray": (encoded(GRAY, "PNG"), "PNG", "L", None),
    "png gray alpha": (encoded(Image.merge("LA", (GRAY, GRAY)), "PNG"), "PNG", "LA", ALPHA),
    "png rgba": (encoded(RGBA, "PNG"), "PNG", "RGBA", ALPHA),
    "png palette": (encoded(RGB.quantize(200), "PNG"), "PNG", "P", None),
    "png 4-bit palette": (encoded(RGB.quantize(16), "PNG", bits=4), "PNG", "P", None),
    "png palette, transparent": (
        encoded(RGB.quantize(64), "PNG", transparency=bytes(range(64))), "PNG", "P", ALPHA,
    ),
    "png 1-bit": (encoded(RGB.convert("1"), "PNG"), "PNG", "1", None),
    "png gray 16": (by_opencv(".png", WIDE_SAMPLES[..., 0]), "PNG", "L;16", SIXTEEN),
    "png rgb 16": (by_opencv(".png", WIDE_SAMPLES[..., :3]), "PNG", "RGB;16", SIXTEEN),
    "png animated": (
        encoded(RGB, "PNG", save_all=True, append_images=[RGBA]), "PNG", "RGBA", "first frame",
    ),
    "webp": (encoded(RGB, "WEBP"), "WebP", "RGB", None),
    "webp lossless": (encoded(RGB, "WEBP", lossless=True), "WebP", "RGB", None),
    "webp rgba": (encoded(RGBA, "WEBP", lossless=True), "WebP", "RGBA", ALPHA),
    "webp lossy rgba": (encoded(RGBA, "WEBP"), "WebP", "RGBA", ALPHA),
    "webp animated": (
        encoded(RGB, "WEBP", save_all=True, append_images=[GRAY]), "WebP", "RGB", "first frame",
    ),
    "webp turned": (encoded(RGB, "WEBP", exif=exif(6)), "WebP", "RGB", "6 not applied"),
    "bmp": (encoded(RGB, "BMP"), "BMP", "RGB", None),
    "bmp palette": (encoded(RGB.quantize(99), "BMP"), "BMP", "P", None),
    "bmp 32": (encoded(RGBA, "BMP"), "BMP", "RGBA", ALPHA),
    "tiff": (encoded(RGB, "TIFF"), "TIFF", "RGB", None),
    "tiff lzw": (encoded(RGB, "TIFF", compression="tiff_lzw"), "TIFF", "RGB", None),
    "tiff fax": (encoded(RGB.convert("1"), "TIFF", compression="group4"), "TIFF", "1", None),
    "tiff cmyk": (encoded(RGB.convert("CMYK"), "TIFF"), "TIFF", "CMYK", "CMYK"),
    "tiff rgba": (encoded(RGBA, "TIFF"), "TIFF", "RGBA", "multiplied by the alpha"),
    "tiff gray 16": (by_opencv(".tiff", WIDE_SAMPLES[..., 0]), "TIFF", "L;16", SIXTEEN),
    "tiff rgb 16": (by_opencv(".tiff", WIDE_SAMPLES[..., :3]), "TIFF", "RGB;16", SIXTEEN),
    "tiff pages": (
        encoded(RGB, "TIFF", save_all=True, append_images=[GRAY]), "TIFF", "RGB", "first page",
    ),
    "bigtiff": (encoded(RGB, "TIFF", big_tiff=True), "TIFF", "RGB", None),
    "ppm": (encoded(RGB, "PPM"), "PNM", "RGB", None),
    "pgm": (encoded(GRAY, "PPM"), "PNM", "L", None),
    "ppm 16": (by_opencv(".ppm", WIDE_SAMPLES[..., :3]), "PNM", "RGB;16", SIXTEEN),
    "pgm 16": (by_opencv(".pgm", WIDE_SAMPLES[..., 0]), "PNM", "L;16", SIXTEEN),
    "jpeg cmyk": (encoded(RGB.convert("CMYK"), "JPEG"), "JPEG", "CMYK", "CMYK"),
    "jpeg cmyk 4:2:0": (  # a sampling that the fast decoder does not know
        encoded(RGB.convert("CMYK"), "JPEG", subsampling=2), "JPEG", "CMYK", "subsampling",
    ),
}  # fmt: skip


def plain_tiles() -> bytes:
    """An uncompressed TIFF in tiles of 48 px."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.asarray(RGB), photometric="rgb", tile=(48, 48))
    return file.getvalue()


# What to damage: files in every way of storing pixels, and some that a container allows.
MUTABLE = {
    **{name: data for name, (data, *_) in STORED.items()},
    "jpeg": JPEG,
    "jpeg progressive": encoded(RGB, "JPEG", progressive=True),
    "jpeg turned": encoded(RGB, "JPEG", exif=exif(6)),
    "png": PNG,
    "tiff in plain tiles": plain_tiles(),
    "tiff packbits": encoded(RGB, "TIFF", compression="packbits"),
    "gif": encoded(RGB, "GIF"),
}
