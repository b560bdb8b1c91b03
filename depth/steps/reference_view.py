"""Which view of a scene comes first: the network measures the others against it.

The strategies and numbers of upstream's model/reference_view_selector.py.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.maps.result import FloatArray

FIRST, MIDDLE = "first", "middle"
SADDLE_BALANCED, SADDLE_SIM_RANGE = "saddle_balanced", "saddle_sim_range"
STRATEGIES = (SADDLE_BALANCED, SADDLE_SIM_RANGE, FIRST, MIDDLE)  # the first is the default
FEWEST_VIEWS = 3  # with fewer views, the first view is the reference view

Order = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def check_strategy(strategy: str) -> None:
    """Raises InputError that lists the strategies there are."""
    if strategy not in STRATEGIES:
        raise InputError(
            f"no strategy {strategy!r} for the reference view; choose from {', '.join(STRATEGIES)}"
        )


def reference_view(class_tokens: FloatArray, strategy: str = SADDLE_BALANCED) -> int:
    """The number of the reference view of a scene.

    class_tokens  [S,D], those that the first stage of the network gives
    Raises InputError for an unknown strategy, or class tokens that are not finite.
    """
    check_strategy(strategy)
    views = len(class_tokens)
    if views < FEWEST_VIEWS or strategy == FIRST:
        return 0
    if strategy == MIDDLE:
        return views // 2
    if not np.isfinite(class_tokens).all():
        raise InputError("class tokens are not finite: the weights or the images are damaged")
    others = likeness(class_tokens)
    if strategy == SADDLE_SIM_RANGE:
        return int(np.argmax(others.max(axis=1) - others.min(axis=1)))
    lengths = np.linalg.norm(class_tokens.astype(np.float64), axis=1)
    spread = (class_tokens / lengths[:, None]).var(axis=1, ddof=1)
    scores = (others.sum(axis=1) / (views - 1), lengths, spread)
    return int(np.argmin(sum(np.abs(_spread(score) - 0.5) for score in scores)))


def likeness(class_tokens: FloatArray) -> Doubles:
    """The cosine between the class tokens of two views, [S,S]; 0 for a view and itself.

    It is exactly symmetric: if all views are alike, two of them have the widest range, and the
    first of these counts. Upstream's 0 is off by rounding, which there decides between the two.
    """
    tokens = class_tokens.astype(np.float64)
    directions = tokens / np.linalg.norm(tokens, axis=1)[:, None]
    found = directions @ directions.T
    found = (found + found.T) / 2
    np.fill_diagonal(found, 0.0)
    return found


def order_of_views(views: int, reference: int) -> Order:
    """The views of a scene in the network's order: the reference view, then all others.

    Raises InputError for a reference view that the scene does not have.
    """
    if not 0 <= reference < views:
        raise InputError(f"reference view {reference}: the scene has views 0 to {views - 1}")
    rest = [view for view in range(views) if view != reference]
    return np.array([reference, *rest], dtype=np.int64)


def places_of_views(order: Order) -> Order:
    """Where each view is in the network's order: `values[places]` has the views as given."""
    return np.argsort(order)


def _spread(scores: Doubles) -> Doubles:
    """From 0 to 1 over the views."""
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low + 1e-8)
