"""Plans: what makes them faster and slower, what bounds them, and what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compile.plan.calibration import CALIBRATIONS, factors
from compile.plan.estimate import DECODING, Layout, Range
from compile.plan.plan import Plan, plan_for
from compile.plan.roofline import (
    BEST,
    CALL,
    INPUT,
    MATRIX,
    MEMORY,
    MIDDLE,
    WORST,
    Load,
    calls_per_s,
    fits_on_chip,
    pipeline_cores,
    time_of,
)
from compile.plan.tables import overview_table, plan_table
from compile.plan.work import Work, work_of
from compile.products import CONV, Product
from depth.chips import INFERENTIA, INFERENTIA2, INSTANCES, instance_named
from depth.errors import InputError
from depth.family import model_named
from tests.benchmarks.published import BERT

VITS = model_named("vits")
FIT = CALIBRATIONS[INFERENTIA]
SIZE = (518, 518)


def planned(instance: str = "inf1.xlarge", *, decode_ms: float = 0, **layout: Any) -> Plan:
    return plan_for(VITS, SIZE, instance, Layout(**layout), decode_ms=decode_ms)


def test_every_estimate_lies_in_its_range() -> None:
    for name in INSTANCES:
        for found in planned(name, decode_ms=70).estimates:
            for values in (
                found.latency_ms,
                found.images_per_s_per_core,
                found.images_per_s,
                found.dollars_per_million,
            ):
                assert 0 < values.low < values.middle < values.high


def test_the_range_is_never_tighter_than_the_fit_to_published_rows() -> None:
    for name, instance in INSTANCES.items():
        low, high = factors(instance.chip)
        found = planned(name).chosen
        values, rates = found.latency_ms, found.images_per_s_per_core
        assert values.high / values.middle >= high * 0.999
        assert values.low / values.middle <= low * 1.001
        assert rates.low / rates.middle <= 1.001 / high
        assert rates.high / rates.middle >= 0.999 / low


def test_a_larger_image_and_a_larger_network_are_slower() -> None:
    slower = [
        plan_for(model_named(name), size, "inf1.xlarge", decode_ms=0).chosen
        for name, size in (
            ("vits", (392, 392)),
            ("vits", (518, 518)),
            ("vits", (518, 686)),
            ("vitb", (518, 686)),
            ("vitl", (518, 686)),
        )
    ]
    for one, other in zip(slower, slower[1:]):
        assert one.latency_ms.middle < other.latency_ms.middle
        assert one.images_per_s.middle > other.images_per_s.middle
        assert one.dollars_per_million.middle < other.dollars_per_million.middle


def test_images_per_second_grow_with_the_cores() -> None:
    small, large = planned("inf1.xlarge").chosen, planned("inf1.6xlarge").chosen
    assert large.images_per_s.middle == pytest.approx(4 * small.images_per_s.middle)
    assert large.images_per_s_per_core == small.images_per_s_per_core
    assert large.latency_ms == small.latency_ms


def test_decoding_bounds_an_instance_of_few_processors_only() -> None:
    blocks = {"attention_blocks": 8}
    assert planned("inf1.xlarge", decode_ms=70, **blocks).chosen.bound == DECODING
    assert planned("inf1.xlarge", decode_ms=5, **blocks).chosen.bound == MATRIX
    assert planned("inf2.xlarge", decode_ms=70).chosen.bound == DECODING
    assert planned("inf2.8xlarge", decode_ms=35).chosen.bound == MATRIX


def test_four_processors_decode_as_many_images_as_their_time_allows() -> None:
    found = planned("inf1.xlarge", decode_ms=1000).chosen.images_per_s
    assert (found.low, found.middle, found.high) == pytest.approx((2.0, 2.8, 4.0))


def test_slices_of_attention_that_fit_into_a_core_free_the_memory() -> None:
    assert planned().chosen.bound == MEMORY
    assert planned(attention_blocks=4).chosen.bound == MEMORY  # 5.6 MB, half of a core is 5
    assert planned(attention_blocks=8).chosen.bound == MATRIX
    scores = work_of(VITS, SIZE)[0]
    assert fits_on_chip(scores, INFERENTIA, Load(attention_blocks=8))
    assert not fits_on_chip(scores, INFERENTIA, Load(batch=2, attention_blocks=8))
    assert not fits_on_chip(scores, INFERENTIA, Load(attention_blocks=4))


@pytest.mark.parametrize(
    ("work", "bound"),
    [
        (Work((Product(CONV, 10**11, 128, 128),), 1e6, 1e5), MATRIX),
        (Work((Product(CONV, 10**9, 128, 128),), 1e9, 1e5), MEMORY),
    ],
)
def test_the_slowest_engine_is_the_time_of_the_device(work: Work, bound: str) -> None:
    time = time_of(work, INFERENTIA, FIT, Load())
    assert time.device_ms == time.engines_ms[bound]
    assert time.total_ms == pytest.approx(time.call_ms + time.input_ms + time.device_ms)


def test_a_time_is_what_the_figures_of_the_chip_make_it() -> None:
    gmac = 8.0
    work = Work((Product(CONV, round(gmac * 1e9), 128, 64),), 0, 0)
    time = time_of(work, INFERENTIA, replace(FIT, conv=0.5), Load())
    assert time.device_ms == pytest.approx(2.0)  # 8 TMAC/s at a half
    shared = time_of(work, INFERENTIA, replace(FIT, conv=0.5, sharing=1.5), Load(active_cores=4))
    assert shared.device_ms == pytest.approx(3.0)


def test_the_worst_case_pays_for_idle_rows_and_columns_of_the_array() -> None:
    narrow = Work((Product(CONV, 10**9, 32, 32),), 0, 0)
    middle, worst = (time_of(narrow, INFERENTIA, FIT, Load(), case) for case in (MIDDLE, WORST))
    assert worst.engines_ms[MATRIX] == pytest.approx(8 * middle.engines_ms[MATRIX])


def test_the_cases_are_ordered() -> None:
    work = work_of(VITS, SIZE)[0]
    for chip in (INFERENTIA, INFERENTIA2):
        best, middle, worst = (
            time_of(work, chip, CALIBRATIONS[chip], Load(active_cores=chip.cores), case).total_ms
            for case in (BEST, MIDDLE, WORST)
        )
        assert best <= middle < worst


def test_a_pipeline_keeps_weights_in_its_cores_from_the_documented_number_on() -> None:
    assert [pipeline_cores(weights) for weights in (2e6, 25e6, 97e6, 335e6)] == [4, 4, 20, 68]
    kept = time_of(BERT, INFERENTIA, FIT, Load(active_cores=4, cores_per_program=16))
    streamed = time_of(BERT, INFERENTIA, FIT, Load(active_cores=4, cores_per_program=12))
    assert (kept.engines_ms[MEMORY], streamed.engines_ms[MEMORY] > 0) == (0.0, True)


def test_calls_in_flight_hide_the_host_until_the_device_is_busy() -> None:
    time = time_of(BERT, INFERENTIA, FIT, Load(batch=6, active_cores=4))
    alone = calls_per_s([time], 1, 1)
    assert alone == pytest.approx(1e3 / time.total_ms)
    assert alone < calls_per_s([time], 1, 2) == calls_per_s([time], 1, 9)
    assert calls_per_s([time], 1, 2) == pytest.approx(1e3 / time.device_ms)


def test_the_host_is_the_bound_where_the_device_has_little_to_do() -> None:
    tiny = plan_for(model_named("demo"), (28, 42), "inf1.xlarge", decode_ms=0)
    assert tiny.chosen.bound == CALL
    fused, split = (planned(split=one, attention_blocks=8).chosen for one in (False, True))
    assert (fused.bound, split.bound) == (MATRIX, INPUT)
    assert split.latency_ms.middle > fused.latency_ms.middle


def test_what_was_asked_for_comes_first_and_the_best_is_marked_once() -> None:
    plan = planned(batch=2, attention_blocks=2)
    assert plan.chosen.layout == Layout(batch=2, attention_blocks=2)
    layouts = [found.layout for found in plan.estimates]
    assert len(set(layouts)) == len(layouts)
    assert {Layout(), Layout(split=True), Layout(cores_per_program=4)} < set(layouts)
    assert all(
        found.images_per_s.middle <= plan.best.images_per_s.middle for found in plan.estimates
    )
    table = plan_table(plan)
    assert table.count("(best)") == 1
    assert f"| **{plan.best.layout}** (best) |" in table
    assert "estimated, never measured" in table


def test_among_equals_the_quickest_is_best() -> None:
    plan = planned("inf2.xlarge", decode_ms=70)
    assert len({found.images_per_s.middle for found in plan.estimates}) == 1
    assert plan.best.latency_ms.middle == min(f.latency_ms.middle for f in plan.estimates)


def test_a_plan_offers_no_pipeline_where_there_is_none() -> None:
    layouts = [found.layout for found in planned("inf2.xlarge").estimates]
    assert max(layout.cores_per_program for layout in layouts) == 1


def test_the_price_is_the_tables_or_the_callers() -> None:
    usual = planned().chosen
    assert usual.dollars_per_million.middle == pytest.approx(
        0.228 / 3600 / usual.images_per_s.middle * 1e6
    )
    cheaper = plan_for(VITS, SIZE, "inf1.xlarge", dollars_per_hour=0.114, decode_ms=0).chosen
    assert cheaper.dollars_per_million.middle == pytest.approx(usual.dollars_per_million.middle / 2)
    assert cheaper.images_per_s == usual.images_per_s


def test_an_overview_has_a_line_for_each_plan() -> None:
    plans = [planned(name) for name in ("inf1.xlarge", "inf2.xlarge")]
    lines = overview_table(plans).splitlines()
    assert sum(line.startswith("| vits at 518x518 | ") for line in lines) == 2
    assert sum(line.startswith("- in brackets") for line in lines) == 2


def test_a_range_that_falls_keeps_its_order() -> None:
    assert Range(1.0, 2.0, 4.0).map(lambda value: 1 / value) == Range(0.25, 0.5, 1.0)


@pytest.mark.parametrize(
    ("instance", "layout", "text"),
    [
        ("inf1.large", {}, "no instance 'inf1.large'; choose from inf1.xlarge, inf1.2xlarge"),
        ("inf1.xlarge", {"batch": 0}, "batch 0: must be at least 1"),
        ("inf2.xlarge", {"cores_per_program": 2}, "inf2.xlarge has no NeuronCore Pipeline"),
        ("inf1.xlarge", {"cores_per_program": 3}, "choose a divisor of the 4 cores"),
        ("inf1.xlarge", {"cores_per_program": 0}, "choose a divisor of the 4 cores"),
        ("inf1.xlarge", {"attention_blocks": 3}, "choose from 1, 2, 4, 8, 16"),
        ("inf1.xlarge", {"decode_ms": -1}, "decoding time in ms -1: must be 0 or more"),
        ("inf1.xlarge", {"decode_ms": float("nan")}, "decoding time in ms nan"),
    ],
)
def test_a_plan_refuses_what_makes_no_sense(
    instance: str, layout: dict[str, Any], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        planned(instance, **layout)


def test_plan_refuses_a_price_or_a_size_that_makes_no_sense() -> None:
    with pytest.raises(InputError, match="price per hour -1"):
        plan_for(VITS, SIZE, "inf1.xlarge", dollars_per_hour=-1)
    with pytest.raises(InputError, match="must be a multiple of 14"):
        plan_for(VITS, (500, 518), "inf1.xlarge")


def test_the_chips_of_an_instance_make_its_cores() -> None:
    cores = {name: instance_named(name).cores for name in INSTANCES}
    assert cores["inf1.xlarge"] == cores["inf1.2xlarge"] == 4
    assert (cores["inf1.6xlarge"], cores["inf1.24xlarge"]) == (16, 64)
    assert (cores["inf2.48xlarge"], cores["trn1.32xlarge"]) == (24, 32)
