"""What schemathesis sends where the interface wants an image. Loaded by its command line."""

from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis.core import NOT_SET

from tests.support.services import PNG

_IMAGES = strategies.just(PNG)

schemathesis.openapi.format("binary", _IMAGES)
for _media_type in ("bmp", "jpeg", "png", "tiff", "webp"):
    schemathesis.openapi.media_type(f"image/{_media_type}", _IMAGES)
schemathesis.openapi.media_type("application/octet-stream", _IMAGES)


@schemathesis.hook
def before_generate_body(
    _context: schemathesis.HookContext, strategy: strategies.SearchStrategy[Any]
) -> strategies.SearchStrategy[Any]:
    """schemathesis takes an optional body that is left out for one that is wrong."""
    return strategy.filter(lambda body: body is not NOT_SET)
