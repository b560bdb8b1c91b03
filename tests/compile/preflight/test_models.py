"""Preflight of many models at once, of networks without values, and what would fit a core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

import pytest
import torch

from compile.preflight import check, cli, table
from compile.preflight.check import preflight
from compile.preflight.costs import Costs
from compile.preflight.programs import preflight_all
from compile.preflight.report import PreflightReport
from compile.preflight.table import ModelRow, rows_of, sizes_of
from compile.shapes_only import without_values
from compile.targets.table import NEURON_PASSES
from depth.chips import CHIPS
from depth.family import Model, models
from depth.network.base import Network
from depth_anything_v2.config import MODELS, model_row
from tests.compile.preflight.test_preflight import remembered_costs
from tests.support import da3
from tests.support.compile_command import command
from tests.support.models import SIZE, TINY, TINY_GIANT, network

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]  # a minute or two; more on a busy machine

# At 518x518 px, 4 views in a scene.
UNFIT = {"vitg", "da3-large", "da3-giant", "da3nested-giant-large"}
SMALLER = replace(TINY, name="smaller", embed_dim=12, num_heads=1)
ROWS = {row.name: row for row in (model_row("tiny", TINY), model_row("smaller", SMALLER))}
ROWS["tiny-mono"] = da3.TINY_MONO


@pytest.fixture(name="costs_once")
def costs_once_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "costs", remembered_costs)


@pytest.fixture(name="_few")
def few_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three small models in the place of all."""
    monkeypatch.setattr(cli, "models", lambda: ROWS)
    monkeypatch.setattr("compile.preflight.fitting.models", lambda: ROWS)


def with_and_without_values(
    made: Network, passes: Optional[Sequence[str]]
) -> tuple[PreflightReport, ...]:
    images = torch.zeros(2, 3, *made.fixed_size)
    return tuple(
        preflight(each, images, "inf1", passes, counted=False)
        for each in (made, without_values(made))
    )


@pytest.mark.parametrize("passes", [None, (*NEURON_PASSES, "input=fp16")], ids=["stock", "lowered"])
@pytest.mark.parametrize("kind", ["tiny", "giant", "mono"])
def test_a_network_without_values_gives_the_same_report(
    passes: Optional[Sequence[str]], kind: str
) -> None:
    mono = da3.network()
    mono.fix_size(*SIZE)
    made = {"tiny": network(TINY), "giant": network(TINY_GIANT), "mono": mono}[kind]
    real, shapes = with_and_without_values(made, passes)
    assert shapes == real
    assert (shapes.left_for_cpu > 0) == (passes is None)


@pytest.mark.usefixtures("_few")
def test_the_table_has_a_row_for_every_model() -> None:
    ended = command("preflight", "--all-models", "--size", "28x42", "--size", "56x70")
    assert ended.code == 0
    heading, _, *lines = ended.out.splitlines()
    assert heading.startswith("| model | sizes | operators | on the CPU | extra MACs of resize |")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[:2] for row in cells] == [[f"`{name}`", "28x42, 56x70"] for name in ROWS]
    for row in cells:
        assert (int(row[2]) > 50, row[3]) == (True, "0")
        assert row[4].count("%") == 2  # resize costs, in a share that depends on the size
        assert row[5:7] == ["0", "0"]  # the class token and slices of queries cost nothing
        assert row[7].endswith(" of 1.9 GB")
        assert (row[8].endswith(" of 2 GB"), row[9]) == (True, "yes")


def test_the_table_says_what_does_not_fit_and_fails_for_operators_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli, "models", lambda: {"tiny": ROWS["tiny"]})
    monkeypatch.setattr(table, "costs", lambda *_: Costs(1, ()))
    monkeypatch.setitem(CHIPS, "inf1", replace(CHIPS["inf1"], core_bytes=100_000))
    size = ("--size", "28x42")
    ended = command("preflight", "--all-models", *size)
    assert (ended.code, ended.out.count("| no |")) == (0, 1)
    ended = command("preflight", "--all-models", *size, "--passes", "position")
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "python -m compile: operators would be left for the CPU: tiny"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("--model", "vits"),
            "--all-models goes with --target, --size, --views, --passes and --precision",
        ),
        (("--batch", "2"), "--all-models goes with"),
        (("--no-lowering",), "--all-models goes with"),
        (("--checkpoint", "untrained"), "--all-models goes with"),
        (("--size", "30x28"), "height 30 px: must be a multiple of 14"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_the_table_takes_no_option_of_one_model(arguments: tuple[str, ...], text: str) -> None:
    ended = command("preflight", "--all-models", *arguments)
    assert ended.code == 2
    assert text in ended.line()


def test_every_model_has_the_native_size_and_another_that_its_rule_gives() -> None:
    assert sizes_of(MODELS["vits"]) == ((518, 518), (518, 686))
    assert sizes_of(models()["da3mono-large"]) == ((518, 518), (504, 504))
    for row in models().values():
        native, other = sizes_of(row)
        assert native != other
        row.size.check(other)


def tiny() -> Network:
    made = network(TINY)
    made.model = ROWS["tiny"]
    return made


def report_of(batch: int) -> PreflightReport:
    made = tiny()
    shapes = [(made.fixed_size, batch)]
    (report,) = preflight_all(made, "inf1", shapes, NEURON_PASSES, None, lambda _: None)
    return report


@pytest.mark.usefixtures("_few", "costs_once")
def test_the_report_of_what_does_not_fit_says_what_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_core(size_bytes: int, batch: int) -> PreflightReport:
        chip = replace(CHIPS["inf1"], core_bytes=size_bytes)
        monkeypatch.setitem(CHIPS, "inf1", chip)
        return report_of(batch)

    one, two = (report_of(batch).footprint for batch in (1, 2))
    assert with_core(two.total_bytes, 2).advice == ""  # it fits
    report = with_core(two.total_bytes, 4)
    assert report.advice.startswith("batch 2")
    (problem,) = report.problems()
    assert problem.endswith(f"model (by the same estimate this fits: {report.advice})")
    assert with_core(one.total_bytes - 1, 1).advice == "size 42x56, smaller"
    assert with_core(one.weights_bytes, 1).advice == ""


@pytest.fixture(name="every", scope="module")
def every_fixture() -> list[ModelRow]:
    rows: list[Model] = list(models().values())
    return rows_of(rows, "inf1", [], [4], NEURON_PASSES, None, lambda _: None)


def test_every_model_runs_whole_on_the_chip_and_all_but_the_giant_fit(
    every: list[ModelRow],
) -> None:
    assert [row.name for row in every] == list(models())
    assert [row.left_for_cpu for row in every] == [0] * len(every)
    assert {row.name for row in every if not all(row.fits)} == UNFIT
    for row in every:
        for costs in row.costs:
            assert 0.5 < costs.extra_percent < 30
            assert [one.name for one in costs.passes if one.macs] == ["resize=matmul"]
