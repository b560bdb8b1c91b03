"""Latency of several programs in turns, and which of them is the fastest."""

from __future__ import annotations

from compile.build.fastest.measure import fastest, in_turns


def test_runs_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    runs = {name: lambda number, name=name: order.append(f"{name}{number}") for name in ("a", "b")}
    samples = in_turns(runs, 2)
    assert order == ["a0", "b0", "b0", "a0", "a1", "b1"]
    assert [len(times) for times in samples.values()] == [2, 2]


def test_the_ratio_is_that_of_paired_rounds() -> None:
    found = fastest({"fp32": [100.0, 200.0, 300.0], "bf16": [50.0, 100.0, 100.0]})
    assert found.name == "bf16"
    assert found.latency_ms == {"fp32": 200.0, "bf16": 100.0}
    assert found.ratios == {"fp32": 1.0, "bf16": 2.0}


def test_a_slow_phase_of_the_machine_decides_nothing() -> None:
    """bf16 has the smaller median, and was slower in two rounds of three."""
    samples = {"fp32": [80.0, 200.0, 200.0], "bf16": [90.0, 150.0, 210.0]}
    assert fastest(samples).name == "fp32"
