"""The estimate of device memory, against sums done by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Optional

import pytest
import torch
from torch import Tensor, nn

from compile.graph import Graph, Node, Value, read_graph
from compile.preflight.check import check
from compile.preflight.memory import Footprint, footprint, widest_mode
from compile.preflight.report import PreflightReport, all_together
from compile.targets.modes import mode_named, modes_of
from compile.trace import trace
from depth.chips import CHIPS, Chip
from tests.support.traced import Calls

X = torch.zeros(2, 4, 8, 8)
ONE = 4 * X.numel()  # bytes of one such tensor
EXACT = mode_named("inf2", "none")  # everything in float32


def residual(x: Tensor) -> Tensor:
    a = x * 2
    return a + (a + 1).relu()


def straight(x: Tensor) -> Tensor:
    return (x * 2 + 1).relu()


def kept_by_a_view(x: Tensor) -> Tensor:
    a = x * 2
    view = a.transpose(1, 2)
    return ((a + 1).relu() + 1).relu().transpose(1, 2) + view


def kept_in_a_list(x: Tensor) -> Tensor:
    parts = [x * 2]
    y = (x + 1).relu()
    return torch.cat([*parts, y], dim=1)


def doubled_first(x: Tensor) -> Tensor:
    return torch.cat([x, x], dim=1).relu().sum(dim=1)


@pytest.mark.parametrize(
    ("function", "tensors", "at"),
    [
        (straight, 2, "aten::mul in the network"),
        (residual, 3, "aten::relu in the network"),
        (kept_by_a_view, 3, "aten::relu in the network"),
        (kept_in_a_list, 4, "aten::cat in the network"),
        (doubled_first, 4, "aten::relu in the network"),
    ],
)
def test_the_footprint_counts_activations_while_a_node_needs_them(
    function: Callable[[Tensor], Tensor], tensors: int, at: str
) -> None:
    found = footprint(read_graph(trace(Calls(function), [X])), EXACT)
    assert (found.activations_bytes, found.peak_at) == (tensors * ONE, at)


def test_the_result_stays_until_the_end() -> None:
    def two(x: Tensor) -> tuple[Tensor, Tensor]:
        early = x * 2
        return early, (x + 1).relu().abs().relu()

    found = footprint(read_graph(trace(Calls(two), [X])), EXACT)
    assert found.activations_bytes == 3 * ONE


def test_an_output_that_no_later_node_uses_stays_until_the_end() -> None:
    """A graph without the tuple that tracing puts last, which would be such a node."""

    def value(name: str, producer: str) -> Value:
        return Value(name, producer, "float32", tuple(X.shape))

    x, early = value("x", "prim::Param"), value("early", "aten::mul")
    b, c, d = (value(name, "aten::relu") for name in "bcd")
    steps = ((x, early), (x, b), (b, c), (c, d))
    nodes = tuple(Node(out.producer, "", (given,), (out,)) for given, out in steps)
    assert footprint(Graph((x,), (early, d), nodes, ()), EXACT).activations_bytes == 3 * ONE
    last_alone = footprint(Graph((x,), (d,), nodes, ()), EXACT)
    assert last_alone.activations_bytes == 2 * ONE


@pytest.mark.parametrize(
    ("target", "mode", "weight_bytes", "activation_bytes", "port_bytes"),
    [
        ("inf2", "none", 4, 4, 4),
        ("inf2", "matmult-bf16", 2, 4, 4),
        ("inf2", "all-bf16", 2, 2, 4),
        ("inf1", "matmult-fp16", 2, 4, 4),
        ("inf1", "all", 2, 2, 4),
        ("inf1", "all-io16", 2, 2, 2),
    ],
)
def test_a_mode_sets_the_width_of_weights_activations_and_ports(
    target: str, mode: str, weight_bytes: int, activation_bytes: int, port_bytes: int
) -> None:
    graph = read_graph(trace(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), [torch.zeros(2, 3, 8)]))
    assert footprint(graph, mode_named(target, mode)) == Footprint(
        mode,
        weights_bytes=(8 * 4 + 4) * weight_bytes,
        activations_bytes=(2 * 3 * 8 + 2 * 3 * 4) * activation_bytes,
        peak_at="aten::linear in 0",
        input_bytes=3 * 8 * port_bytes,
        output_bytes=3 * 4 * port_bytes,
    )


@pytest.mark.parametrize("target", CHIPS)
def test_the_widest_mode_needs_the_most(target: str) -> None:
    graph = read_graph(trace(nn.Linear(8, 4), [torch.zeros(2, 3, 8)]))
    most = footprint(graph, widest_mode(target)).total_bytes
    assert most == max(footprint(graph, mode).total_bytes for mode in modes_of(target))


def test_whole_numbers_keep_their_width() -> None:
    module = Calls(lambda x: x)
    module.register_buffer("table", torch.ones(8, dtype=torch.int32))
    module.function = lambda x: x + module.table
    assert footprint(read_graph(trace(module, [X])), EXACT).weights_bytes == 8 * 4


def small(core_bytes: int, constants_bytes: Optional[int] = None) -> Chip:
    return replace(CHIPS["inf1"], core_bytes=core_bytes, constants_bytes=constants_bytes)


def linear_report() -> PreflightReport:
    return check(nn.Linear(8, 4), (torch.zeros(1, 3, 8),), "inf1", "one")


def test_constants_over_the_limit_fail_with_the_names_of_the_largest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CHIPS, "inf1", small(10**9, 143))
    report = linear_report()
    assert not report.passed
    (problem,) = report.problems()
    assert problem.startswith("constants of 0.00 GB, the compiler reads 0.00 GB at most")
    assert report.largest_constants == [("weight", 128), ("bias", 16)]
    assert "weight 0.0 MB, bias 0.0 MB" in report.text()
    monkeypatch.setitem(CHIPS, "inf1", small(10**9, 144))
    assert linear_report().passed


def test_a_program_over_the_memory_of_a_core_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    need = linear_report().footprint.total_bytes
    monkeypatch.setitem(CHIPS, "inf1", small(need))
    assert linear_report().passed
    monkeypatch.setitem(CHIPS, "inf1", small(need - 1))
    (problem,) = linear_report().problems()
    assert "of device memory, a core has" in problem
    assert "take a smaller size, batch or model" in problem


def test_programs_that_fit_alone_may_not_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    one = linear_report()
    reports = [one, check(nn.Linear(8, 4), (torch.zeros(2, 3, 8),), "inf1", "two")]
    need = sum(report.footprint.total_bytes for report in reports)
    monkeypatch.setitem(CHIPS, "inf1", small(need))
    together = all_together(reports)
    assert (together.core_bytes, together.passed) == (need, True)
    assert together.text().endswith("per chip of 4 cores: fits")
    monkeypatch.setitem(CHIPS, "inf1", small(need - 1))
    assert all(report.passed for report in reports)
    assert not all_together(reports).passed
    assert "FAILS: build fewer programs, or smaller ones" in all_together(reports).text()


def test_the_chips_are_those_of_the_data_sheets() -> None:
    assert CHIPS["inf1"].chip_bytes == 8_000_000_000
    assert CHIPS["inf2"].chip_bytes == 32_000_000_000
