"""Scenes through an engine whose programs are made up: what is computed, shared, refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from depth.artifact.manifest import Artifact
from depth.artifact.steps import Do, Normalise
from depth.errors import ImageError, InputError
from depth.scenes.export import export_scene, formats_named
from depth.scenes.options import Options
from depth.scenes.scene import Scene
from depth.sizes import Size
from depth.steps.cameras import Cameras, other_way
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
from tests.support.scene_programs import (
    FOV,
    SIZE,
    ScenePrograms,
    frame,
    own_space,
    pose,
    scene_manifest,
    true_depth,
)

WAIT_S = 20.0
SMALL = SceneAsked(process_res=42)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> ScenePrograms:
    made = ScenePrograms()
    monkeypatch.setattr("serve.backend.open_runtime", made)
    return made


@contextmanager
def pipeline(
    views: tuple[int, ...] = (1, 2, 4), batches: tuple[int, ...] = (1,), **options: Any
) -> Iterator[ScenePipeline]:
    manifest = {k: options.pop(k) for k in ("more", "sizes", "steps") if k in options}

    def build(_size: Size, _views: int) -> list[Artifact]:
        return [made_artifact(scene_manifest(views, batches=batches, **manifest))]

    options.setdefault("size_rule", scene_manifest().size)
    options["sizes"] = manifest.get("sizes", (SIZE,))
    with ScenePipeline(build, **options) as made:
        yield made


def frames(*numbers: int) -> list[np.ndarray]:
    return [frame(number) for number in numbers]


def is_truth(scene: Scene, *numbers: int) -> bool:
    """Whether depth and cameras are those of the frames, in the space of the world."""
    expected = np.stack([true_depth(number) for number in numbers])
    cameras = np.linalg.inv(np.concatenate((scene.extrinsics, [[[0, 0, 0, 1]]] * len(scene)), 1))
    centres = np.stack([pose(number)[1] for number in numbers])
    return np.allclose(scene.depth, expected, rtol=1e-4) and np.allclose(
        cameras[:, :3, 3], centres, atol=1e-4
    )


def test_a_scene_has_depth_and_a_camera_for_each_view(programs: ScenePrograms) -> None:
    steps: list[tuple[str, int, int]] = []
    with pipeline() as made:
        scene = made(frames(3, 9), SMALL, on_step=lambda *step: steps.append(step))
    assert is_truth(scene, 3, 9)
    assert scene.names == ("0000_image.png", "0001_image.png")
    assert scene.intrinsics[1, 1, 1] == pytest.approx(14 / np.tan(FOV[0] / 2), rel=1e-5)
    assert np.abs(scene.images[1].astype(int) - frame(9)).max() <= 1
    assert np.array_equal(scene.sources[1].pixels(), frame(9))
    assert (scene.unit, scene.provenance.model, scene.provenance.target) == (
        None,
        "views",
        "openvino",
    )
    assert scene.provenance.steps == ("upper_bound_resize", "reference_view(saddle_balanced)")
    assert steps == [
        ("read", 1, 2),
        ("read", 2, 2),
        ("prefix", 1, 2),
        ("prefix", 2, 2),
        ("trunk", 1, 1),
        ("head", 1, 2),
        ("head", 2, 2),
    ]
    assert programs.views == {"prefix": 2, "cameras": 1, "trunk": 1, "head": 2}


def test_the_views_come_back_in_the_caller_s_order(programs: ScenePrograms) -> None:
    for strategy in ("saddle_balanced", "saddle_sim_range", "first", "middle"):
        with pipeline() as made:
            scene = made(frames(7, 1, 30, 4), SceneAsked(process_res=42, strategy=strategy))
            assert is_truth(scene, 7, 1, 30, 4)
    first = {scene[0] for scene in programs.scenes}
    assert {7, 30} <= first, "strategies choose different views"


def test_scenes_that_run_together_share_batches_but_no_views(programs: ScenePrograms) -> None:
    """Prefixes and heads of several scenes are batched; no trunk sees views of two scenes."""
    with pipeline(batches=(1, 4), at_once=4) as made, ThreadPoolExecutor(4) as pool:
        wanted = [(number, number + 100) for number in range(0, 40, 4)]
        scenes = list(pool.map(lambda pair: made(frames(*pair), SMALL), wanted))
    assert all(is_truth(scene, *pair) for scene, pair in zip(scenes, wanted))
    assert {tuple(sorted(seen)) for seen in programs.scenes} == set(wanted)
    assert programs.runs["prefix"] <= programs.views["prefix"]


def test_what_the_first_stage_said_is_computed_once(programs: ScenePrograms) -> None:
    with pipeline() as made, pipeline(cache_bytes=0) as without:
        first = made(frames(1, 2, 3, 4), SMALL)
        again = made(frames(3, 4, 5, 5), SMALL)
        assert programs.views["prefix"] == 5
        assert (made.counts().hits, made.counts().misses, made.counts().entries) == (2, 5, 5)
        for scene, numbers in ((first, (1, 2, 3, 4)), (again, (3, 4, 5, 5))):
            plain = without(frames(*numbers), SMALL)
            for name in ("depth", "confidence", "extrinsics", "intrinsics"):
                assert np.array_equal(getattr(scene, name), getattr(plain, name)), name
        assert without.counts().entries == 0
        assert programs.views["prefix"] == 5 + 4 + 3  # an image twice in a scene runs once


def test_posed_scenes_are_in_the_scale_of_the_given_cameras(programs: ScenePrograms) -> None:
    """One view, two, cameras on a line, and more, with and without alignment."""
    programs.space_of = own_space
    for numbers in ((5,), (5, 9), (0, 10, 20, 30)):
        given = truth_cameras(*numbers)
        with pipeline() as made:
            scene = made(frames(*numbers), SceneAsked(process_res=42, cameras=given))
            assert np.allclose(scene.extrinsics, given.extrinsics, atol=1e-6)
            assert np.allclose(scene.intrinsics, given.intrinsics)
            if len(numbers) > 1:
                assert is_truth(scene, *numbers)
            free = SceneAsked(process_res=42, cameras=given, align_to_given=False)
            moved = made(frames(*numbers), free)
            assert np.allclose(
                moved.extrinsics[:, :, :3] @ moved.extrinsics[:, :, :3].transpose(0, 2, 1),
                np.eye(3),
                atol=1e-5,
            )
            share = moved.depth / scene.depth
            assert share.std() / share.mean() < 1e-5
        assert scene.provenance.steps[-1] == "align_to_given_cameras"
        assert moved.provenance.steps[-1] == "align_to_predicted_cameras"


def truth_cameras(*numbers: int) -> Cameras:
    turns, centres = zip(*map(pose, numbers))
    lens = np.eye(3)
    lens[0, 0], lens[1, 1] = SIZE[1] / 2 / np.tan(FOV[1] / 2), SIZE[0] / 2 / np.tan(FOV[0] / 2)
    lens[:2, 2] = SIZE[1] / 2, SIZE[0] / 2
    return Cameras(other_way(np.stack(turns), np.stack(centres)), np.stack([lens] * len(numbers)))


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


def test_cameras_from_rays_need_their_stage(programs: ScenePrograms) -> None:
    asked = SceneAsked(process_res=42, ray_pose=True)
    with pipeline(more=("head_rays",)) as made:
        scene = made(frames(3, 9), asked)
        assert scene.intrinsics[0, 0, 0] == pytest.approx(SIZE[1] / 2, rel=1e-4)  # 45 degrees
        assert "ray_pose(seed=0)" in scene.provenance.steps
        assert programs.views["head_rays"] == 2
        assert not programs.views["head"]
    with pipeline() as made, pytest.raises(NoProgramError, match="no stage 'head_rays' .*--rays"):
        made(frames(3, 9), asked)


def test_a_network_that_knows_metres_scales_the_scene(programs: ScenePrograms) -> None:
    programs.space_of = own_space
    with pipeline(more=("metric",)) as made:
        scene = made(frames(3, 9), SMALL)
    assert scene.unit == "m"
    expected = np.stack([true_depth(3), true_depth(9)])
    assert np.allclose(scene.depth, expected, rtol=1e-3)
    assert scene.provenance.steps[-1] == "metric_scale(seed=0)"


def test_a_number_of_views_without_a_program_is_named(programs: ScenePrograms) -> None:
    with pipeline() as made:
        with pytest.raises(NoProgramError) as raised:
            made(frames(1, 2, 3), SMALL)
        assert str(raised.value) == (
            "no program for a scene of 3 views of 28x42 px; there are programs for views: 1 of "
            "28x42 px, 2 of 28x42 px, 4 of 28x42 px. Compile it with `python -m compile build "
            "--model views --size 28x42 --views 3`, or take another number of images"
        )
        with pytest.raises(NoProgramError, match="no program for a scene of 2 views of 42x56 px"):
            made(frames(1, 2), SceneAsked(process_res=56))
    assert not programs.views


@pytest.mark.usefixtures("programs")
def test_buckets_take_the_nearest_size_of_that_many_views() -> None:
    tall = np.asarray(Image.new("RGB", (40, 60), (9, 0, 0)))
    with pipeline(sizes=((28, 42), (42, 28)), policy="buckets") as made:
        scene = made([tall, tall], SceneAsked(process_res=504))
    assert scene.size == (42, 28)
    assert scene.provenance.shape_policy == "buckets"
    assert scene.sources[0].window == (0, 0, 40, 60)


@pytest.mark.usefixtures("programs")
def test_images_of_several_sizes_are_cut_or_left_out() -> None:
    wide, tall = frame(5, (40, 60)), frame(6, (60, 40))
    with pipeline(sizes=((28, 28), (28, 42))) as made:
        cut = made([wide, tall], SMALL)
        assert cut.size == (28, 28)
        assert cut.sources[1].window == (0, 10, 40, 40)
        assert cut.provenance.steps[1] == "mixed_sizes(crop)"
        asked = SceneAsked(process_res=42, mixed="group", names=("a.png", "b.png", "c.png"))
        group = made([wide, tall, wide], asked)
        assert (group.size, group.names) == ((28, 42), ("a.png", "c.png"))
        assert group.provenance.steps[1] == "mixed_sizes(group, 1 left out)"


def test_files_are_named_and_read_again_for_exports(
    programs: ScenePrograms, tmp_path: Path
) -> None:
    for number in (1, 2):
        Image.fromarray(frame(number)).save(tmp_path / f"{number}.png")
    with pipeline() as made:
        paths = [tmp_path / "1.png", str(tmp_path / "2.png")]
        scene = made(paths, SMALL)
        assert scene.names == ("1.png", "2.png")
        assert np.array_equal(scene.sources[0].pixels(), frame(1))
        export_scene(scene, tmp_path / "out", formats_named("glb-colmap"), Options(points=50))
        data = made([path.read_bytes() for path in tmp_path.glob("?.png")], SMALL)
        assert np.array_equal(data.sources[0].pixels()[0, 0, 1:], [0, 0])
        (tmp_path / "2.png").write_bytes(b"text")
        with pytest.raises(ImageError, match="image 1: .*2.png"):
            made(paths, SMALL)


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
    artifact = written(tmp_path, whole)
    with ScenePipeline(artifact.folder) as made:
        assert made.engine.library.there == [(SIZE, 1), (SIZE, 2), (SIZE, 4)]
