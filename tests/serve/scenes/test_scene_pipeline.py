"""Scenes through an engine whose programs are made up: what is computed, shared, refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from depth.errors import ImageError, InputError
from depth.scenes.export import export_scene, formats_named
from depth.scenes.options import Options
from serve.errors import (
    NoProgramError,
)
from serve.scenes.pipeline import SceneAsked
from tests.support.scene_pipelines import SMALL, frames, is_truth, pipeline, truth_cameras
from tests.support.scene_programs import (
    FOV,
    SIZE,
    ScenePrograms,
    frame,
    own_space,
    true_depth,
)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> ScenePrograms:
    made = ScenePrograms()
    monkeypatch.setattr("serve.backend.open_runtime", made)
    return made


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


def test_cameras_from_rays_need_their_stage(programs: ScenePrograms) -> None:
    asked = SceneAsked(process_res=42, ray_pose=True)
    with pipeline(more=("head_rays",)) as made:
        scene = made(frames(3, 9), asked)
        assert scene.intrinsics[0, 0, 0] == pytest.approx(SIZE[1] / 2, rel=1e-4)  # 45 degrees
        assert "ray_pose(seed=0)" in scene.provenance.steps
        assert programs.views["head_rays"] == 2
        assert not programs.views["head"]
    with (
        pipeline() as made,
        pytest.raises(NoProgramError, match="cameras from rays at 28x42 px.*--rays"),
    ):
        made(frames(3, 9), asked)


def test_a_network_that_knows_metres_scales_the_scene(programs: ScenePrograms) -> None:
    programs.space_of = own_space
    with pipeline(more=("metric",)) as made:
        scene = made(frames(3, 9), SMALL)
    assert scene.unit == "m"
    expected = np.stack([true_depth(3), true_depth(9)])
    assert np.allclose(scene.depth, expected, rtol=1e-3)
    assert scene.provenance.steps[-1] == "metric_scale(seed=0)"


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


@pytest.mark.usefixtures("programs")
def test_files_are_named_and_read_again_for_exports(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("more", "text"), [({"blocks": (3,)}, "features of blocks"), ({"gaussians": True}, "Gaussians")]
)
def test_what_programs_do_not_give_is_refused(
    more: dict[str, Any], text: str, programs: ScenePrograms
) -> None:
    with pipeline() as made:
        asked = replace(SMALL, **more)
        with pytest.raises(InputError, match=f"^{text}: a compiled program has no such outputs"):
            made(frames(0), asked)
        with pytest.raises(InputError, match=f"^{text}: a compiled program has no such outputs"):
            next(made.sequence(frames(0), asked))
    assert not programs.runs["prefix"]
