"""Places in the stored and in the upright image, against Pillow's own turning of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from depth.images.orientation import stored_size, upright


@pytest.mark.parametrize("orientation", range(1, 9))
def test_places_go_where_pillow_puts_their_pixels(orientation):
    stored = np.arange(15, dtype=np.uint8).reshape(3, 5)
    picture = Image.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    turned = np.array(ImageOps.exif_transpose(picture))
    y, x = np.mgrid[:3, :5]
    across, down = upright(x, y, (3, 5), orientation)
    assert np.array_equal(turned[down, across], stored)
    assert stored_size((turned.shape[0], turned.shape[1]), orientation) == (3, 5)
