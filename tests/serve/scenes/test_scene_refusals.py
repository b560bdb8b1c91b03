"""Scenes that are refused, given up, late, or fail, before they cost anything."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from depth.artifact.steps import Do, Normalise
from depth.errors import InputError
from depth.scenes.export import export_scene, formats_named
from depth.scenes.options import Options
from depth.scenes.scene import Scene
from serve.errors import (
    ClosedError,
    ExpiredError,
    GivenUpError,
    NoProgramError,
    ProgramError,
    QueueFullError,
    RefusedError,
)
from serve.scenes.library import SceneLibrary
from serve.scenes.pipeline import SceneAsked, ScenePipeline
from tests.support.manifests import made_artifact, made_manifest, written
from tests.support.scene_pipelines import SMALL, WAIT_S, frames, is_truth, pipeline, truth_cameras
from tests.support.scene_programs import (
    SIZE,
    ScenePrograms,
    frame,
    scene_manifest,
)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> ScenePrograms:
    made = ScenePrograms()
    monkeypatch.setattr("serve.backend.open_runtime", made)
    return made


def test_a_number_of_views_without_a_program_is_named(programs: ScenePrograms) -> None:
    with pipeline() as made:
        with pytest.raises(NoProgramError) as raised:
            made(frames(1, 2, 3), SMALL)
        assert str(raised.value) == (
            "no program for a scene of 3 views of 28x42 px; there are programs for views: 1 of "
            "28x42 px, 2 of 28x42 px, 4 of 28x42 px. Compile it with `python -m compile build "
            "--model views --size 28x42 --views 3`, or take another number of images"
        )
        with pytest.raises(NoProgramError, match="2 views of 42x56 px.* policy `buckets`, or"):
            made(frames(1, 2), SceneAsked(process_res=56))
    assert not programs.views


def test_what_is_no_scene_is_refused(programs: ScenePrograms) -> None:
    with pipeline() as made:
        for images in ([], "a.png"):
            with pytest.raises(InputError, match="expected a list of 1 to 4096"):
                made(images, SMALL)
        with pytest.raises(InputError, match="1 names for 2 images"):
            made(frames(1, 2), SceneAsked(process_res=42, names=("a",)))
        with pytest.raises(InputError, match="image 1: an image of type int"):
            made([frame(1), 5], SMALL)
    for wrong in (
        {"method": "best"},
        {"strategy": "best"},
        {"mixed": "best"},
        {"process_res": 0},
        {"deadline_s": 0},
    ):
        with pytest.raises(InputError):
            SceneAsked(**wrong)
    with pytest.raises(InputError, match="no shape policy 'best'"):
        ScenePipeline(lambda *_: (), policy="best")
    with pytest.raises(InputError, match="cache of -1 bytes"):
        ScenePipeline(lambda *_: (), cache_bytes=-1)
    with pytest.raises(InputError, match="0 scenes at once"):
        ScenePipeline(lambda *_: (), at_once=0)
    with pytest.raises(ClosedError):
        made(frames(1, 2), SMALL)
    assert not programs.views


def test_a_scene_ends_at_its_deadline_or_when_it_is_given_up(programs: ScenePrograms) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(stage: str) -> None:
        if stage == "trunk":
            begun.set()
            go_on.wait(WAIT_S)

    programs.on_run = hold
    with pipeline(waiting=1, at_once=1) as made, ThreadPoolExecutor(3) as pool:
        held = pool.submit(made, frames(1, 2), SMALL)
        assert begun.wait(WAIT_S)
        stop = threading.Event()
        waiting = pool.submit(made, frames(3, 4), SMALL, None, stop.is_set)
        while not made.turns.waiting:
            threading.Event().wait(0.001)
        with pytest.raises(QueueFullError, match="1 scenes wait already"):
            made(frames(5, 6), SMALL)
        stop.set()
        with pytest.raises(GivenUpError, match="given up by its caller"):
            waiting.result(WAIT_S)
        with pytest.raises(ExpiredError, match="deadline of 0.050 s has passed"):
            made(frames(5, 6), SceneAsked(process_res=42, deadline_s=0.05))
        go_on.set()
        assert is_truth(held.result(WAIT_S), 1, 2)
        assert is_truth(made(frames(5, 6), SMALL), 5, 6), "the engine goes on"
    assert (3, 4) not in programs.scenes


def test_a_running_scene_is_given_up_between_its_requests(programs: ScenePrograms) -> None:
    with pipeline() as made:
        steps: list[str] = []

        def note(step: str, _done: int, _count: int) -> None:
            steps.append(step)

        with pytest.raises(GivenUpError):
            made(frames(1, 2), SMALL, note, lambda: "prefix" in steps)
        assert steps[-1] == "prefix"
        assert not programs.views["trunk"]
        assert is_truth(made(frames(1, 2), SMALL), 1, 2)


def test_cancelling_gives_the_scene_up(programs: ScenePrograms) -> None:
    begun, go_on = threading.Event(), threading.Event()
    programs.on_run = lambda stage: stage == "prefix" and (begun.set(), go_on.wait(WAIT_S))

    async def run(made: ScenePipeline) -> Scene:
        task = asyncio.create_task(made.async_run(frames(1, 2), SMALL))
        await asyncio.to_thread(begun.wait, WAIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        return await made.async_run(frames(3, 4), SMALL)

    with pipeline() as made:
        assert is_truth(asyncio.run(run(made)), 3, 4)
    assert not programs.views["trunk"] > 1


def test_numbers_that_are_not_finite_and_errors_reach_the_caller(programs: ScenePrograms) -> None:
    def fail(stage: str) -> None:
        if stage == "head":
            raise ValueError("broken")

    programs.on_run = fail
    with pipeline() as made, pytest.raises(ProgramError, match="broken"):
        made(frames(1, 2), SMALL)


def test_artifacts_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="fused: a model of single images, served by DepthPipe"):
        SceneLibrary([made_artifact(made_manifest())])
    whole = scene_manifest()
    head = next(p for p in whole.programs if p.stage == "head")
    odd = replace(head, inputs=(replace(head.inputs[0], name="maps"),))
    others = tuple(p for p in whole.programs if p is not head)
    with pytest.raises(RefusedError, match="takes maps, expected features"):
        SceneLibrary([made_artifact(replace(whole, programs=(*others, odd)))])
    normalised = replace(whole, steps=(Do(Normalise((1, 1, 1), (0, 1, 1))), *whole.steps[2:]))
    with pytest.raises(RefusedError, match="pre-processing steps normalise"):
        SceneLibrary([made_artifact(normalised)])
    with pytest.raises(RefusedError, match="failed its parity gate"):
        SceneLibrary([made_artifact(replace(whole, gate=replace(whole.gate, passed=False)))])
    for changes in ({"model": "others"}, {"precision": "bf16"}, {"steps": whole.steps[1:]}):
        with pytest.raises(RefusedError, match="the other artifacts have|pre-processing steps"):
            SceneLibrary([made_artifact(whole), made_artifact(replace(whole, **changes))])
    both = SceneLibrary(map(made_artifact, (whole, scene_manifest((8,), more=("head_rays",)))))
    assert both.sizes_of(8) == [SIZE]
    assert both.scene(SIZE, 2, rays=True).artifact.manifest.views.most == 4
    artifact = written(tmp_path, whole)
    with ScenePipeline(artifact.folder) as made:
        assert made.engine.library.there == [(SIZE, 1), (SIZE, 2), (SIZE, 4)]
        with pytest.raises(NoProgramError, match="a scene of 3 views of 28x42 px; .* --views 3"):
            made(["no file"] * 3, SMALL)  # before a file is read


def test_images_that_take_too_much_memory_are_refused(
    programs: ScenePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.scenes.images.default_limit_bytes", lambda: 2 * 28 * 42 * 3)
    with pipeline() as made:
        assert len(made(frames(1, 2), SMALL)) == 2
        with pytest.raises(InputError, match="4 images: the first 3 take 7056 bytes and more"):
            made(frames(1, 2, 3, 4), SMALL)
    assert programs.views["prefix"] == 2


def test_nearly_rotations_are_made_rotations_and_others_are_refused(
    programs: ScenePrograms, tmp_path: Path
) -> None:
    given = truth_cameras(1, 2)
    given.extrinsics[:, :, :3] *= 1.004  # off by 8e-3: a scene would refuse it
    with pipeline() as made:
        scene = made(frames(1, 2), SceneAsked(process_res=42, cameras=given))
        export_scene(scene, tmp_path / "out", formats_named("mini_npz"), Options())
        programs.views.clear()
        given.extrinsics[:, :, :3] *= 1.01
        with pytest.raises(InputError, match="view 0: the first three columns do not rotate"):
            made(frames(1, 2), SceneAsked(process_res=42, cameras=given))
        skewed = truth_cameras(1, 2)
        skewed.intrinsics[1, 0, 1] = 3
        with pytest.raises(InputError, match="intrinsics of view 1: expected .* no skew"):
            made(frames(1, 2), SceneAsked(process_res=42, cameras=skewed))
        with pytest.raises(InputError, match="extrinsics .* expected \\(1,3,4\\)"):
            made(frames(1), SceneAsked(process_res=42, cameras=truth_cameras(1, 2)))
        assert not programs.views, "refused before the network runs"
