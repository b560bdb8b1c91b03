"""Preflight of the stages of a model of scenes: operators, memory by number of views, refusals."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from compile.preflight import cli
from compile.preflight.costs import costs
from compile.preflight.report import PreflightReport
from compile.preflight.scenes import SceneShapes, advice, scene_costs, scene_preflight
from compile.preflight.table import rows_of
from compile.shapes_only import build_without_values, without_values
from compile.targets.table import NEURON_PASSES
from depth.chips import CHIPS
from depth.errors import InputError
from depth.family import model_named
from depth.network.base import Network
from depth.network.rotary import QuarterTurn
from tests.support.compile_command import command
from tests.support.da3_views import SIZE, TINY_MODEL, network

STAGES = ["prefix", "cameras", "trunk", "head", "head_rays"]
SCENES = SceneShapes((1, 2), (1, 3), rays=True)
FULL = (336, 504)


@functools.cache
def tiny() -> Network:
    made = network()
    made.fix_size(*SIZE)
    return made


def reports_of(shapes: SceneShapes = SCENES, target: str = "inf1") -> list[PreflightReport]:
    return scene_preflight(tiny(), target, shapes, NEURON_PASSES)


@functools.cache
def known_reports(target: str = "inf1") -> list[PreflightReport]:
    """Of `SCENES`, on chips as they are; not to be written to."""
    return reports_of(target=target)


@pytest.mark.parametrize("target", ["inf1", "inf2"])
def test_nothing_of_a_stage_is_left_for_the_cpu(target: str) -> None:
    reports = known_reports(target)
    assert [report.problems() for report in reports] == [[]] * len(reports)
    assert [(one.stage, one.views) for one in reports[:5]] == list(
        zip(STAGES, (None, 1, 1, None, None))
    )
    names = {report.program for report in reports}
    assert names == {
        *(f"56x84-b{batch}-{stage}" for batch in (1, 2) for stage in ("prefix", "head")),
        *(f"56x84-b{batch}-head_rays" for batch in (1, 2)),
        *(f"56x84{views}-b1-{stage}" for views in ("", "-s3") for stage in ("cameras", "trunk")),
    }
    assert SCENES.programs(TINY_MODEL) == len(reports)


def test_stages_without_values_give_the_same_reports() -> None:
    one = SceneShapes(views=(2,))
    assert scene_preflight(without_values(tiny()), "inf1", one, NEURON_PASSES) == reports_of(one)


def test_without_a_pass_resizes_stay_and_are_refused() -> None:
    reports = scene_preflight(tiny(), "inf1", SceneShapes(), ())
    failing = {report.stage: report.left_for_cpu for report in reports if report.left_for_cpu}
    assert failing == {"head": 5}


def turned_by_hypot(_self: QuarterTurn, x: Tensor) -> Tensor:
    return torch.hypot(x, x)


@pytest.mark.usefixtures("_tiny_row")
def test_an_operator_of_a_trunk_that_the_compiler_has_not_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(QuarterTurn, "forward", turned_by_hypot)
    ended = command("preflight", "--model", "tiny-views", "--views", 2, "--size", "56x84")
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "python -m compile: 56x84-s2-b1-trunk: 8 operators would not run on the chip: aten::hypot"
    )
    assert "blocks.0.attn.quarter_turn" in ended.out


@pytest.fixture(name="_tiny_row")
def tiny_row_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "model_named", lambda _: TINY_MODEL)
    monkeypatch.setattr("compile.preflight.fitting.models", lambda: {"tiny-views": TINY_MODEL})


@pytest.mark.usefixtures("_tiny_row")
def test_the_command_says_what_scenes_of_each_number_of_views_cost() -> None:
    asked = ("preflight", "--model", "tiny-views", "--size", "56x84", "--rays")
    ended = command(*asked, "--views", 1, "--views", 3)
    assert ended.code == 0
    lines = [line for line in ended.out.splitlines() if line.startswith("scenes of ")]
    assert [line.split(":")[0] for line in lines] == ["scenes of 1 view", "scenes of 3 views"]
    for line in lines:
        assert "multiply-accumulates per view (prefix " in line
        assert "; head_rays in place of head: " in line
        assert line.endswith(" GB of 2.00 GB per core: fits")
    assert "per scene of 3 views" in ended.out
    assert "per image" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--model", "demo", "--views", "2"), "--views and --rays are for models of scenes"),
        (("--model", "da3-small", "--views", "0"), "a scene has 1 to"),
        (("--all-models", "--rays"), "--all-models goes with"),
    ],
    ids=["views of an image", "no views", "rays of all"],
)
def test_views_that_cannot_be_are_refused(arguments: tuple[str, ...], text: str) -> None:
    ended = command("preflight", "--size", "28x42", *arguments)
    assert ended.code == 2
    assert text in ended.line()


def test_no_program_has_no_view_and_no_batch() -> None:
    for counts in ({"batches": (0,)}, {"views": (2, 0)}):
        with pytest.raises(InputError, match=" 0: must be at least 1"):
            SceneShapes(**counts)


def test_memory_and_attention_grow_with_the_views() -> None:
    one, three = scene_costs(TINY_MODEL, known_reports())
    assert (one.views, three.views) == (1, 3)
    assert three.memory.core_bytes > one.memory.core_bytes
    first, third = one.macs_per_view(), three.macs_per_view()
    assert [name for name in STAGES if third[name] > first[name]] == ["cameras", "trunk"]
    assert third["prefix"] == first["prefix"]


def test_a_core_that_is_too_small_for_the_views_holds_fewer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = SceneShapes(views=(8,))
    reports = reports_of(large)
    (cost,) = scene_costs(TINY_MODEL, reports)
    assert cost.fits
    chip = replace(CHIPS["inf1"], core_bytes=cost.memory.core_bytes - 1)
    monkeypatch.setitem(CHIPS, "inf1", chip)
    (smaller,) = scene_costs(TINY_MODEL, reports)
    assert not smaller.fits
    assert smaller.text().endswith("per core: FAILS")
    found = advice(TINY_MODEL, "inf1", large, SIZE, NEURON_PASSES, None)
    assert found.startswith("4 views")
    trunk = reports[2]
    chip = replace(chip, core_bytes=trunk.footprint.total_bytes - 1)
    monkeypatch.setitem(CHIPS, "inf1", chip)
    (problem,) = reports_of(large)[2].problems()
    assert problem.endswith("take a smaller size, number of views or model")


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "views", "gigas"),
    # By another count: without the levels of the ray branch that nothing reads, which are 1.7 G of
    # small, 27 G of large and of giant.
    [
        ("da3-small", 1, 42.9 - 1.7),
        ("da3-small", 8, 59.0 - 1.7),
        ("da3-large", 4, 588 - 27),
        ("da3-giant", 2, 1359 - 27),
    ],
)
def test_products_are_as_many_as_another_count_found(name: str, views: int, gigas: float) -> None:
    model = model_named(name)
    made = build_without_values(model)
    made.fix_size(*FULL)
    shapes = SceneShapes(views=(views,), rays=True)
    (cost,) = scene_costs(model, scene_preflight(made, "inf2", shapes, ()))
    macs = cost.macs_per_view()
    assert sum(macs.values()) - macs["head"] == pytest.approx(1e9 * gigas, rel=4e-3)


@pytest.mark.long
def test_full_models_leave_nothing_and_the_giant_is_refused_with_the_reason() -> None:
    def scenes(name: str, views: int) -> tuple[bool, list[str]]:
        model = model_named(name)
        made = build_without_values(model)
        made.fix_size(*FULL)
        reports = scene_preflight(made, "inf1", SceneShapes(views=(views,)), NEURON_PASSES)
        assert [report.left_for_cpu for report in reports] == [0] * 4
        (cost,) = scene_costs(model, reports)
        return cost.fits, [text for report in reports for text in report.problems()]

    assert scenes("da3-base", 4) == (True, [])
    assert scenes("da3-large", 4) == (True, [])
    assert not scenes("da3-large", 8)[0]
    fits, problems = scenes("da3-giant", 1)
    assert not fits
    assert problems == [
        "constants of 3.14 GB, the compiler reads 1.90 GB at most: take a smaller model"
    ]


@pytest.mark.long
def test_the_table_has_a_row_for_each_number_of_views() -> None:
    one, four = rows_of([TINY_MODEL], "inf2", [SIZE], [1, 4], NEURON_PASSES, None, lambda _: None)
    assert (one.cells()[1], four.cells()[1]) == ("56x84, 1 view", "56x84, 4 views")
    assert (one.left_for_cpu, four.fits) == (0, [True])
    assert four.cells()[-1] == "yes"
    added = [cost.macs for found in (one, four) for cost in found.costs[0].passes if cost.macs]
    assert added[1] == 4 * added[0]
    assert four.costs[0] == costs(tiny(), NEURON_PASSES, 4)
