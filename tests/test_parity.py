"""The parity gate: its numbers worked out by hand, and everything that must not pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from compile.errors import ParityError
from compile.parity.measure import compare, failure, measure, worst
from compile.parity.probes import photographs, probes
from compile.targets.protocols import Limit
from depth.artifact.manifest import ParityNumbers
from depth.maps.result import FloatArray
from tests.hostile import picture
from tests.networks import SIZE, TINY, network

LIMIT = Limit(max_rel=1e-3, mean_rel=1e-4)


def depth(*values: float) -> FloatArray:
    return np.array([values], np.float32)


def test_numbers_by_hand() -> None:
    result = compare("x", depth(0, 1, 2, 5), depth(0, 1.5, 2, 4))
    assert result.reference_spread == 1
    assert result.numbers.max_rel == 1 / 5
    assert result.numbers.mean_rel == 1.5 / 8
    assert result.numbers.abs_rel == pytest.approx((0.5 + 0 + 0.2) / 3)  # zero is left out
    assert result.numbers.delta1 == pytest.approx(1 / 3)  # 1.5 and 5 / 4 are not below 1.25
    assert result.numbers.rank_correlation == pytest.approx(1)


def test_equal_depth_has_no_error() -> None:
    numbers = compare("x", depth(1, 2, 2, 3), depth(1, 2, 2, 3)).numbers
    assert numbers == ParityNumbers(0, 0, 0, 1, pytest.approx(1))  # type: ignore[arg-type]


def test_rank_correlation_is_of_ranks_with_ties_shared() -> None:
    assert compare("x", depth(0, 0, 1, 9), depth(0, 0, 2, 3)).numbers.rank_correlation == (
        pytest.approx(1)
    )
    assert compare("x", depth(1, 2, 3), depth(3, 2, 1)).numbers.rank_correlation == (
        pytest.approx(-1)
    )
    # Ranks 1.5 1.5 3.5 3.5 and 1 2.5 2.5 4.
    assert compare("x", depth(0, 0, 1, 1), depth(0, 1, 1, 2)).numbers.rank_correlation == (
        pytest.approx(np.corrcoef([1.5, 1.5, 3.5, 3.5], [1, 2.5, 2.5, 4])[0, 1])
    )


def test_a_flat_program_has_no_rank_correlation_with_a_varying_reference() -> None:
    numbers = compare("x", depth(1, 2, 3), depth(2, 2, 2)).numbers
    assert numbers.rank_correlation == 0
    assert failure(numbers, LIMIT)


def test_a_flat_reference_has_no_rank_correlation_to_measure() -> None:
    result = compare("x", depth(2, 2, 2), depth(2, 2, 2))
    assert result.reference_spread == 0
    assert result.numbers.rank_correlation is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_fail(value: float) -> None:
    with pytest.raises(ParityError, match="the program gives values that are not finite on 'x'"):
        compare("x", depth(1, 2), depth(1, value))
    with pytest.raises(ParityError, match="the reference gives values that are not finite on 'x'"):
        compare("x", depth(1, value), depth(1, 2))


def test_depth_where_the_reference_has_only_zeros_fails() -> None:
    assert compare("x", depth(0, 0), depth(0, 0)).numbers.max_rel == 0
    with pytest.raises(
        ParityError, match="the program gives depth on 'x', the reference only zero"
    ):
        compare("x", depth(0, 0), depth(0, 1e-6))


def test_worst_takes_each_number_from_its_own_worst_image() -> None:
    flat = compare("flat", depth(5, 5), depth(5, 5))
    large = compare("large", depth(1, 2, 3, 100), depth(1, 2, 3, 90))
    wrong = compare("wrong", depth(1, 2, 3, 100), depth(2, 1, 3, 100))
    numbers = worst([flat, large, wrong])
    assert numbers.max_rel == 0.1
    assert numbers.mean_rel == 0.0943  # three digits
    assert numbers.abs_rel == 0.167  # of 1/2, 0 and 0: a reference of 1 is not above 1 % of 100
    assert numbers.rank_correlation == 0.8


def test_a_reference_that_is_flat_everywhere_proves_nothing() -> None:
    flat = [
        compare(name, depth(v, v * (1 + 1e-6)), depth(v, v)) for name, v in (("a", 1), ("b", 7))
    ]
    with pytest.raises(ParityError, match="flat depth on every test image.*check the weights"):
        worst(flat)
    worst([*flat, compare("c", depth(1, 2), depth(1, 2))])


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((1e-3, 1e-4), None),
        ((1.1e-3, 1e-4), "max_rel 0.0011 (limit 0.001)"),
        ((1e-3, 2e-4), "mean_rel 0.0002 (limit 0.0001)"),
        ((1.0, 1.0), "max_rel 1 (limit 0.001), mean_rel 1 (limit 0.0001)"),
        ((float("nan"), 0.0), "max_rel nan (limit 0.001)"),
        ((0.0, float("nan")), "mean_rel nan (limit 0.0001)"),
    ],
)
def test_failure(numbers: tuple[float, float], text: str) -> None:
    found = failure(ParityNumbers(*numbers, 0.0, 1.0, 1.0), LIMIT)
    assert (found or "").endswith(text or "")
    assert (found is None) == (text is None)


# The gate around a network, with stand-ins for the program.


def eager(made: nn.Module) -> Callable[[FloatArray], FloatArray]:
    return lambda images: made(torch.from_numpy(images)).numpy()


def test_the_network_itself_passes() -> None:
    made = network(TINY)
    results = measure(made, eager(made), probes(SIZE), batch=1)
    assert [result.probe for result in results] == ["constant", "noise", "thin lines", "scene"]
    assert failure(worst(results), Limit(0.0, 0.0)) is None


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7])
def test_batches_are_always_full_and_every_image_is_measured(batch: int) -> None:
    made = network(TINY)
    seen = []

    def run(images: FloatArray) -> FloatArray:
        seen.append(len(images))
        return eager(made)(images)

    results = measure(made, run, probes(SIZE), batch)
    assert set(seen) == {batch}
    assert {result.probe for result in results} == {"constant", "noise", "thin lines", "scene"}


def test_a_program_that_answers_for_another_image_of_the_batch_fails() -> None:
    made = network(TINY)
    results = measure(made, lambda images: eager(made)(images)[::-1], probes(SIZE), 2)
    assert failure(worst(results), Limit(0.01, 0.01))


@pytest.mark.parametrize(
    ("tamper", "text"),
    [
        (lambda d: d[:, :-1], r"the program gives \(1, 55, 70\), expected \(1, 56, 70\)"),
        (lambda d: d[0], r"the program gives \(56, 70\), expected \(1, 56, 70\)"),
        (lambda d: d[:, None], r"the program gives \(1, 1, 56, 70\)"),
        (lambda d: d * np.nan, "the program gives values that are not finite on 'constant'"),
    ],
)
def test_a_wrong_shape_and_nan_are_refused(tamper: Any, text: str) -> None:
    made = network(TINY)
    with pytest.raises(ParityError, match=text):
        measure(made, lambda images: tamper(eager(made)(images)), probes(SIZE), 1)


class Flat(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(len(images), *SIZE)


class NotFinite(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0] / 0


def test_a_network_without_sense_is_refused() -> None:
    with pytest.raises(ParityError, match="proves nothing; check the weights"):
        worst(measure(Flat(), eager(Flat()), probes(SIZE), 1))
    with pytest.raises(ParityError, match="the reference gives values that are not finite"):
        measure(NotFinite(), eager(NotFinite()), probes(SIZE), 1)


def test_one_wrong_pixel_on_one_image_fails() -> None:
    made = network(TINY)

    def run(images: FloatArray) -> FloatArray:
        found = eager(made)(images)
        if images.std() > 1.2:  # noise and thin lines only
            found[0, 3, 5] *= 1.02
        return found

    numbers = worst(measure(made, run, probes(SIZE), 1))
    assert failure(numbers, LIMIT) == (
        f"the program is too far from the eager network: max_rel {numbers.max_rel:.3g} "
        "(limit 0.001)"
    )


def test_probes_are_the_same_every_time_and_have_the_size() -> None:
    first, second = probes((28, 42)), probes((28, 42))
    for a, b in zip(first, second):
        assert a.image.shape == (1, 3, 28, 42)
        assert a.image.dtype == np.float32
        assert np.array_equal(a.image, b.image)
    assert len({a.image.tobytes() for a in first}) == 4
    probes((14, 14))  # the smallest there is


def test_photographs_are_probes_too(tmp_path: Path) -> None:
    path = tmp_path / "größe.png"
    picture(30, 40).save(path)
    added = probes((28, 42), photographs(tmp_path, 3))[-1]
    assert added.name == "größe.png"
    assert added.image.shape == (1, 3, 28, 42)


def test_only_readable_photographs_are_taken_and_not_more_than_the_limit(tmp_path: Path) -> None:
    for name in ("b", "c", "d"):
        picture(30, 40).save(tmp_path / f"{name}.png")
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert [found.name for found in photographs(tmp_path, 2)] == ["b.png", "c.png"]
    assert [found.name for found in photographs(tmp_path, 9)] == ["b.png", "c.png", "d.png"]
    assert photographs(tmp_path / "nothing", 2) == []
