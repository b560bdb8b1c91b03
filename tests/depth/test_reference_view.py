"""Which view of a scene comes first."""

from __future__ import annotations

import numpy as np
import pytest

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.steps.reference_view import (
    STRATEGIES,
    likeness,
    order_of_views,
    places_of_views,
    reference_view,
)


def tokens(*rows: tuple[float, ...]) -> FloatArray:
    return np.array(rows, dtype=np.float32)


# Views 0 and 1 look alike and view 3 is their opposite; view 2 is between them.
FOUR = tokens((4, 0.1, 0), (4, 0, 0.1), (1, 2, 0.5), (-9, 0, 0.3))


def test_places_need_no_tokens() -> None:
    assert reference_view(FOUR, "first") == 0
    assert reference_view(FOUR, "middle") == 2
    assert reference_view(FOUR[:3], "middle") == 1


def test_the_widest_range_of_likeness() -> None:
    # Rows of likeness without a view itself: views 0 and 1 reach from about -1 to 1.
    n = FOUR / np.linalg.norm(FOUR, axis=1)[:, None]
    likeness = n @ n.T - np.eye(4)
    ranges = likeness.max(1) - likeness.min(1)
    assert reference_view(FOUR, "saddle_sim_range") == ranges.argmax() in (0, 1)


def test_the_balanced_view_is_in_the_middle_of_three_scores() -> None:
    n = FOUR / np.linalg.norm(FOUR, axis=1)[:, None]
    scores = [(n @ n.T - np.eye(4)).sum(1) / 3, np.linalg.norm(FOUR, axis=1), n.var(1, ddof=1)]
    spread = [(s - s.min()) / (s.max() - s.min() + 1e-8) for s in scores]
    assert reference_view(FOUR) == np.abs(np.array(spread) - 0.5).sum(0).argmin()
    assert reference_view(FOUR) != reference_view(FOUR, "saddle_sim_range")


def test_of_two_views_that_are_most_alike_the_first_counts() -> None:
    """Where all views are alike, the range of a view is the likeness to the nearest other."""
    alike = tokens((1, 0.9, 0), (1, 0.1, 0.7), (1, 0.8, 0.1), (1, 0, 1))
    found = likeness(alike)
    assert (found >= 0).all()
    assert np.array_equal(found, found.T)
    assert np.unravel_index(found.argmax(), found.shape) == (0, 2)
    for order in ((0, 1, 2, 3), (2, 1, 0, 3), (1, 0, 3, 2)):
        reference = reference_view(alike[list(order)], "saddle_sim_range")
        assert reference == min(order.index(0), order.index(2))


def test_equal_views_give_the_first() -> None:
    same = np.ones((5, 8), dtype=np.float32)
    assert [reference_view(same, name) for name in STRATEGIES] == [0, 0, 0, 2]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("views", [1, 2])
def test_one_or_two_views_have_the_first(strategy: str, views: int) -> None:
    assert reference_view(FOUR[2 : 2 + views], strategy) == 0


def test_the_order_comes_back() -> None:
    order = order_of_views(5, 3)
    assert order.tolist() == [3, 0, 1, 2, 4]
    places = places_of_views(order)
    assert places.tolist() == [1, 2, 3, 0, 4]
    given = np.arange(50).reshape(5, 10)
    assert np.array_equal(given[order][places], given)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="no strategy 'best'.*choose from saddle_balanced"):
        reference_view(FOUR[:1], "best")
    with pytest.raises(InputError, match="reference view 4: the scene has views 0 to 3"):
        order_of_views(4, 4)
    for bad in (np.nan, np.inf):
        with pytest.raises(InputError, match="class tokens are not finite"):
            reference_view(np.where(FOUR == 4, np.float32(bad), FOUR))
