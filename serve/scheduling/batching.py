"""Which batch size to run, and images into a batch and out again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from depth.maps.depth_map import FloatArray


def batch_size(waiting: int, batches: Sequence[int], due: bool) -> Optional[int]:
    """The batch size to run for this many images; None to wait for more.

    `batches` are those of the size's programs, ascending. Once they are due, the smallest that
    holds them all runs if at least half of it is used; a padded place costs as much as a used one.
    """
    if waiting >= batches[-1]:
        return batches[-1]
    if not due:
        return None
    holds_all = min(batch for batch in batches if batch >= waiting)
    full = [batch for batch in batches if batch <= waiting]
    return full[-1] if full and 2 * waiting < holds_all else holds_all


def stacked(images: Sequence[FloatArray], batch: int) -> FloatArray:
    """[3,H,W] each -> [batch,3,H,W]; the last one fills the places left over.

    An image, because a place filled with zeros could fail where images do not.
    """
    if len(images) == batch == 1:
        return images[0][None]  # a view: images are megabytes
    padding = [images[-1]] * (batch - len(images))
    return np.stack([*images, *padding])
