"""What a depth map's numbers become for a program that wants 0 to 1, and the stub.

A stub is a gradient that is no depth. It exists for tests of the program that calls, is made only
when asked for, and says so in every form.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from depth.family import DEPTH, RELATIVE_INVERSE
from depth.images.given import Held
from depth.images.read import ImageFile, Pixels, decode
from depth.maps.result import FULL, Map, Provenance
from depth.presets.values import near1
from serve.jobs.stage import Asked, ImageResult

__all__ = ["NATIVE", "NEAR1", "VALUES", "Look", "Use", "is_stub", "near1", "stub", "with_look"]

Look = Callable[[], Pixels]  # gives the image of a result, [H,W,3] BGR; it may have to decode it
Use = Callable[[ImageResult, Look], None]

NEAR1, NATIVE = "near1", "native"
VALUES = (NEAR1, NATIVE)
STUB = "stub"  # the model and target in a stub's provenance


def with_look(use: Use) -> Callable[[ImageResult, Pixels], None]:
    """`use` as a stage calls it, with pixels that are there."""
    return lambda result, pixels: use(result, lambda: pixels)


def is_stub(result: ImageResult) -> bool:
    """Whether a result is a stub's gradient and no depth."""
    return result.provenance.target == STUB


def stub(held: Held, _asked: Asked, use: Use) -> None:
    """Have a gradient used: 0 in the top row to 1 in the bottom row, of the image's size.

    Raises ImageError for what is no image.
    """
    opened = held.open()
    header = opened.header
    rows = np.linspace(0.0, 1.0, header.height_px, dtype=np.float32)
    values = np.repeat(rows[:, None], header.width_px, axis=1)
    nothing = (STUB, "", "", "", STUB, "", "", "", header.height_px, header.width_px, FULL, ())
    notes = ["stub: a gradient, and no depth"]
    source = {
        "path": held.path,
        "sha256": None,
        "width_px": header.width_px,
        "height_px": header.height_px,
        "notes": notes,
    }
    maps = {DEPTH: Map(values, RELATIVE_INVERSE)}
    result = ImageResult(maps, Provenance(*nothing), source=source)
    use(result, lambda: decode(opened).pixels if isinstance(opened, ImageFile) else opened.pixels)
