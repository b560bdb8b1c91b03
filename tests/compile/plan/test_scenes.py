"""Scenes in a plan: what a scene of several views asks of a chip, and of what it is made."""

from __future__ import annotations

import pytest

from compile.plan.estimate import Host, Layout, estimate
from compile.plan.scenes import ScenePlan, scene_plan_for, scene_table
from compile.plan.work import Work, scene_work_of
from depth.chips import instance_named
from depth.errors import InputError
from depth.family import model_named
from tests.support.compile_command import command
from tests.support.da3_views import SIZE, TINY_MODEL

SMALL = model_named("da3-small")
FULL = (336, 504)


def tiny(views: int, decode_ms: float = 0.0) -> ScenePlan:
    return scene_plan_for(TINY_MODEL, SIZE, views, "inf1.xlarge", None, decode_ms)


def works(views: int) -> dict[str, Work]:
    return {name: work for name, work, _ in scene_work_of(TINY_MODEL, SIZE, views)}


def test_only_the_stages_that_know_all_views_grow_with_them() -> None:
    one, three = works(1), works(3)
    assert list(one) == ["prefix", "cameras", "trunk", "head"]
    assert (one["prefix"], one["head"]) == (three["prefix"], three["head"])
    assert sum(three["trunk"].macs.values()) > 3 * sum(one["trunk"].macs.values())
    assert three["trunk"].weights == one["trunk"].weights + 2 * 2 * 25 * 16  # two rotary tables


def test_layers_of_a_trunk_have_scores_of_their_own() -> None:
    trunk = works(3)["trunk"]
    own, across = 3 * 2 * 25**2, 2 * 75**2  # two heads, 25 tokens per view
    assert trunk.layers == 4
    assert trunk.scores == across
    assert trunk.total_scores == 2 * own + 2 * across


def test_slices_of_a_long_attention_are_counted_one_by_one() -> None:
    trunk = next(work for name, work, _ in scene_work_of(SMALL, FULL, 4) if name == "trunk")
    assert trunk.total_scores == 4 * (4 * 6 * 865**2) + 4 * 6 * (4 * 865) ** 2
    assert trunk.layers == 4 + 4 * 2  # two slices each
    assert 6 * (4 * 865) ** 2 / 2 < trunk.scores < 6 * (4 * 865) ** 2


def test_a_scene_is_its_stages_one_after_the_other() -> None:
    of = works(3)
    runs = [*[of["prefix"]] * 3, of["cameras"], of["trunk"], *[of["head"]] * 3]
    machine = instance_named("inf1.xlarge")
    expected = estimate(runs, machine, Layout(), Host(0.0), machine.dollars_per_hour)
    plan = tiny(3)
    assert plan.scene == expected
    assert plan.cached.latency_ms.middle < plan.scene.latency_ms.middle
    assert plan.new_frames == 2
    saved = plan.scene.latency_ms.middle - plan.overlapping.latency_ms.middle
    whole = plan.scene.latency_ms.middle - plan.cached.latency_ms.middle
    assert saved == pytest.approx(whole / 3)


def test_photographs_of_cached_frames_are_not_decoded_again() -> None:
    plan = tiny(4, decode_ms=10_000.0)
    scenes = [found.images_per_s.middle for found in (plan.scene, plan.overlapping)]
    assert scenes[1] == pytest.approx(2 * scenes[0])
    per_view = plan.scene.dollars_per_million.middle / 4
    assert float(plan.cells()[9].split(" ")[0]) == pytest.approx(per_view, rel=0.05)


def test_the_table_has_a_row_for_each_number_of_views() -> None:
    lines = scene_table([tiny(1), tiny(3)]).splitlines()
    rows = [line for line in lines if line.startswith("| tiny-views at 56x84 ")]
    assert [row.split(" | ")[2] for row in rows] == ["1", "3"]
    assert lines[0] == "## Scenes: estimated, never measured"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--model", "vits", "--views", "2"), "--views and --rays are for models of scenes"),
        (("--model", "da3-small", "--batch", "2"), "models of scenes are planned by themselves"),
        (("--model", "da3-small", "--model", "vits"), "models of scenes are planned by themselves"),
        (("--model", "da3-small", "--decode-ms", "-1"), "decoding time in ms -1.0: must be 0"),
    ],
    ids=["views of an image", "a batch", "two kinds", "a time"],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], text: str) -> None:
    ended = command("plan", "--size", "56x84", *arguments)
    assert ended.code == 2
    assert text in ended.line()


def test_a_size_of_no_network_is_refused() -> None:
    with pytest.raises(InputError, match="must be a multiple of 14"):
        scene_plan_for(TINY_MODEL, (57, 84), 1, "inf1.xlarge")
