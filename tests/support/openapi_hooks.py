"""What schemathesis sends where the interface wants an image. Loaded by its command line."""

import schemathesis
from hypothesis import strategies

from tests.support.services import PNG

_IMAGES = strategies.just(PNG)

schemathesis.openapi.format("binary", _IMAGES)
for _media_type in ("bmp", "jpeg", "png", "tiff", "webp"):
    schemathesis.openapi.media_type(f"image/{_media_type}", _IMAGES)
schemathesis.openapi.media_type("application/octet-stream", _IMAGES)
