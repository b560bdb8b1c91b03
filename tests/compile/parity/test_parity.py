"""The parity gate: its numbers worked out by hand, and everything that must not pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from compile.errors import ParityError
from compile.parity.inputs import ParityInput, parity_inputs, photographs
from compile.parity.measure import InputErrors, eager, failure, measure, worst
from compile.parity.measure import compare as compare_outputs
from compile.targets.protocols import Arrays, Limit, Run
from depth.artifact.program import Numbers
from depth.family import RELATIVE_INVERSE, SKY, Output
from depth.maps.result import FloatArray
from depth.network.base import Network
from tests.support.hostile import picture
from tests.support.networks import DEMO, SIZE, TINY, network

DEPTH = Output("depth", RELATIVE_INVERSE)
LIMIT = Limit(max_rel=1e-3, mean_rel=1e-4, max_abs=1e-3, mean_abs=1e-4).of([DEPTH])


def depth(*values: float) -> FloatArray:
    return np.array([values], np.float32)


def compare(probe: str, reference: FloatArray, found: FloatArray) -> InputErrors:
    return compare_outputs(probe, [DEPTH], {"depth": reference}, {"depth": found})


def numbers_of(reference: FloatArray, found: FloatArray) -> Numbers:
    return compare("x", reference, found).measured["depth"]


def rank(reference: FloatArray, found: FloatArray) -> object:
    return numbers_of(reference, found)["rank_correlation"]


def test_numbers_by_hand() -> None:
    result = compare("x", depth(0, 1, 2, 5), depth(0, 1.5, 2, 4))
    numbers = result.measured["depth"]
    assert result.spread == 1
    assert numbers["max_rel"] == 1 / 5
    assert numbers["mean_rel"] == 1.5 / 8
    assert numbers["abs_rel"] == pytest.approx((0.5 + 0 + 0.2) / 3)  # zero is left out
    assert numbers["delta1"] == pytest.approx(1 / 3)  # 1.5 and 5 / 4 are not below 1.25
    assert numbers["rank_correlation"] == pytest.approx(1)


def test_equal_depth_has_no_error() -> None:
    assert numbers_of(depth(1, 2, 2, 3), depth(1, 2, 2, 3)) == {
        "max_rel": 0,
        "mean_rel": 0,
        "abs_rel": 0,
        "delta1": 1,
        "rank_correlation": pytest.approx(1),
    }


def test_rank_correlation_is_of_ranks_with_ties_shared() -> None:
    assert rank(depth(0, 0, 1, 9), depth(0, 0, 2, 3)) == pytest.approx(1)
    assert rank(depth(1, 2, 3), depth(3, 2, 1)) == pytest.approx(-1)
    # Ranks 1.5 1.5 3.5 3.5 and 1 2.5 2.5 4.
    assert rank(depth(0, 0, 1, 1), depth(0, 1, 1, 2)) == (
        pytest.approx(np.corrcoef([1.5, 1.5, 3.5, 3.5], [1, 2.5, 2.5, 4])[0, 1])
    )


def test_a_flat_program_has_no_rank_correlation_with_a_varying_reference() -> None:
    numbers = numbers_of(depth(1, 2, 3), depth(2, 2, 2))
    assert numbers["rank_correlation"] == 0
    assert failure({"depth": numbers}, LIMIT)


def test_a_flat_reference_has_no_rank_correlation_to_measure() -> None:
    result = compare("x", depth(2, 2, 2), depth(2, 2, 2))
    assert result.spread == 0
    assert result.measured["depth"]["rank_correlation"] is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_fail(value: float) -> None:
    with pytest.raises(ParityError, match="the program gives depth that is not finite on 'x'"):
        compare("x", depth(1, 2), depth(1, value))
    with pytest.raises(ParityError, match="the reference gives depth that is not finite on 'x'"):
        compare("x", depth(1, value), depth(1, 2))


def test_depth_where_the_reference_has_only_zeros_fails() -> None:
    assert numbers_of(depth(0, 0), depth(0, 0))["max_rel"] == 0
    with pytest.raises(
        ParityError, match="the program gives depth on 'x', the reference only zero"
    ):
        compare("x", depth(0, 0), depth(0, 1e-6))


def test_worst_takes_each_number_from_its_own_worst_image() -> None:
    flat = compare("flat", depth(5, 5), depth(5, 5))
    large = compare("large", depth(1, 2, 3, 100), depth(1, 2, 3, 90))
    wrong = compare("wrong", depth(1, 2, 3, 100), depth(2, 1, 3, 100))
    numbers = worst([flat, large, wrong])["depth"]
    assert numbers["max_rel"] == 0.1
    assert numbers["mean_rel"] == 0.0943  # three digits
    assert numbers["abs_rel"] == 0.167  # of 1/2, 0 and 0: a reference of 1 is not above 1 % of 100
    assert numbers["rank_correlation"] == 0.8


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
        ((1.1e-3, 1e-4), "depth max_rel 0.0011 (limit 0.001)"),
        ((1e-3, 2e-4), "depth mean_rel 0.0002 (limit 0.0001)"),
        ((1.0, 1.0), "depth max_rel 1.0 (limit 0.001), depth mean_rel 1.0 (limit 0.0001)"),
        ((float("nan"), 0.0), "depth max_rel nan (limit 0.001)"),
        ((0.0, float("nan")), "depth mean_rel nan (limit 0.0001)"),
    ],
)
def test_failure(numbers: tuple[float, float], text: str) -> None:
    max_rel, mean_rel = numbers
    measured = {"max_rel": max_rel, "mean_rel": mean_rel, "delta1": 0.0}
    found = failure({"depth": measured}, LIMIT)
    assert (found or "").endswith(text or "")
    assert (found is None) == (text is None)


# The gate around a network, with stand-ins for the program.


def running(made: Network, change: Callable[[FloatArray], FloatArray] = lambda d: d) -> Run:
    """The network itself as a program, its depth changed."""

    def run(arrays: Arrays) -> dict[str, FloatArray]:
        return {"depth": change(eager(made, arrays["images"])["depth"])}

    return run


def images_for(made: Network) -> list[ParityInput]:
    return parity_inputs(made.model, SIZE)


def test_the_network_itself_passes() -> None:
    made = network(TINY)
    results = measure(made, running(made), images_for(made), batch=1)
    assert [result.probe for result in results] == ["constant", "noise", "thin lines", "scene"]
    assert failure(worst(results), Limit(0.0, 0.0, 0.0, 0.0).of([DEPTH])) is None


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7])
def test_batches_are_always_full_and_every_image_is_measured(batch: int) -> None:
    made = network(TINY)
    seen = []

    def run(arrays: Arrays) -> dict[str, FloatArray]:
        seen.append(len(arrays["images"]))
        return running(made)(arrays)

    results = measure(made, run, images_for(made), batch)
    assert set(seen) == {batch}
    assert {result.probe for result in results} == {"constant", "noise", "thin lines", "scene"}


def test_a_program_that_answers_for_another_image_of_the_batch_fails() -> None:
    made = network(TINY)
    results = measure(made, running(made, lambda d: d[::-1]), images_for(made), 2)
    assert failure(worst(results), Limit(0.01, 0.01, 0.01, 0.01).of([DEPTH]))


@pytest.mark.parametrize(
    ("tamper", "text"),
    [
        (lambda d: d[:, :-1], r"the program gives depth \(1, 55, 70\), expected \(1, 56, 70\)"),
        (lambda d: d[0], r"the program gives depth \(56, 70\), expected \(1, 56, 70\)"),
        (lambda d: d[:, None], r"the program gives depth \(1, 1, 56, 70\)"),
        (lambda d: d * np.nan, "the program gives depth that is not finite on 'constant'"),
    ],
)
def test_parity_refuses_a_wrong_shape_and_nan(tamper: Any, text: str) -> None:
    made = network(TINY)
    with pytest.raises(ParityError, match=text):
        measure(made, running(made, tamper), images_for(made), 1)


class Flat(Network):
    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(len(images), *SIZE)


class NotFinite(Network):
    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0] / 0


def test_measure_refuses_a_network_without_sense() -> None:
    model = network(TINY).model
    flat, broken = Flat(model), NotFinite(model)
    results = measure(flat, running(flat), images_for(flat), 1)
    with pytest.raises(ParityError, match="proves nothing; check the weights"):
        worst(results)
    with pytest.raises(ParityError, match="the reference gives depth that is not finite"):
        measure(broken, running(broken), images_for(broken), 1)


def test_one_wrong_pixel_on_one_image_fails() -> None:
    made = network(TINY)

    def run(arrays: Arrays) -> dict[str, FloatArray]:
        found = running(made)(arrays)
        if arrays["images"].std() > 1.2:  # noise and thin lines only
            found["depth"][0, 3, 5] *= 1.02
        return found

    measured = worst(measure(made, run, images_for(made), 1))
    assert failure(measured, LIMIT) == (
        "the program is too far from the eager network: "
        f"depth max_rel {measured['depth']['max_rel']} (limit 0.001)"
    )


def test_sky_has_a_measure_of_its_own() -> None:
    sky = Output("sky", SKY)
    limits = Limit(1e-3, 1e-4, 0.05, 0.02).of([DEPTH, sky])
    assert limits["sky"] == {"max_abs": 0.05, "mean_abs": 0.02}
    reference = {"depth": depth(1, 2, 3, 4), "sky": depth(0, 0, 0, 0)}
    for error, passes in ((0.04, True), (0.06, False)):
        found = {"depth": depth(1, 2, 3, 4), "sky": depth(0, error, 0, 0)}
        result = compare_outputs("x", [DEPTH, sky], reference, found)
        assert result.measured["sky"] == {
            "max_abs": pytest.approx(error),
            "mean_abs": pytest.approx(error / 4),
        }
        problem = failure(worst([result]), limits)
        assert (problem is None) == passes
        if problem:
            assert problem.endswith("sky max_abs 0.06 (limit 0.05)")


def test_probes_are_the_same_every_time_and_have_the_size() -> None:
    first, second = (parity_inputs(DEMO, (28, 42)) for _ in range(2))
    for a, b in zip(first, second):
        assert a.image.shape == (1, 3, 28, 42)
        assert a.image.dtype == np.float32
        assert np.array_equal(a.image, b.image)
    assert len({a.image.tobytes() for a in first}) == 4
    parity_inputs(DEMO, (14, 14))  # the smallest there is


def test_photographs_are_probes_too(tmp_path: Path) -> None:
    path = tmp_path / "größe.png"
    picture(30, 40).save(path)
    added = parity_inputs(DEMO, (28, 42), photographs(tmp_path, 3))[-1]
    assert added.name == "größe.png"
    assert added.image.shape == (1, 3, 28, 42)


def test_photographs_takes_readable_images_up_to_the_limit(tmp_path: Path) -> None:
    for name in ("b", "c", "d"):
        picture(30, 40).save(tmp_path / f"{name}.png")
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert [found.name for found in photographs(tmp_path, 2)] == ["b.png", "c.png"]
    assert [found.name for found in photographs(tmp_path, 9)] == ["b.png", "c.png", "d.png"]
    assert photographs(tmp_path / "nothing", 2) == []
    assert [found.name for found in photographs(tmp_path / "d.png", 2)] == ["d.png"]
    assert photographs(tmp_path / "a.png", 2) == []
