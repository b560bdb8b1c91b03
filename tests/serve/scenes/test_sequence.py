"""Long sequences in windows: one space, each frame once, each prefix once, constant memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from depth.errors import InputError
from depth.scenes.scene import Scene
from depth.steps.alignment import Similarity
from serve.errors import GivenUpError, NoProgramError
from serve.scenes.pipeline import SceneAsked
from tests.support.scene_pipelines import SMALL, frames, pipeline, truth_cameras
from tests.support.scene_programs import (
    ScenePrograms,
    frame,
    own_space,
    pose,
    same_space,
    true_depth,
)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> ScenePrograms:
    made = ScenePrograms(own_space)
    monkeypatch.setattr("serve.backend.open_runtime", made)
    return made


def worst(scenes: Sequence[Scene], space: Similarity, numbers: Sequence[int]) -> float:
    """The largest relative error of depth, or error of a camera's place, in a space."""
    depth = np.concatenate([scene.depth for scene in scenes])
    places = np.concatenate([centres(scene) for scene in scenes])
    truth = np.stack([true_depth(number) for number in numbers]) * space.scale
    there = np.stack([pose(number)[1] for number in numbers])
    there = space.scale * there @ space.rotation.T + space.shift
    off_depth = np.abs(depth / truth - 1).max()
    return max(float(off_depth), float(np.abs(places - there).max()) / space.scale)


def centres(scene: Scene) -> np.ndarray:
    turns, shifts = scene.extrinsics[:, :, :3], scene.extrinsics[:, :, 3]
    return np.einsum("sji,sj->si", -turns, shifts)


def test_windows_are_joined_in_the_space_of_the_first(programs: ScenePrograms) -> None:
    """Each window has another scale, rotation and place."""
    steps: list[tuple[str, int, int]] = []
    with pipeline((4,)) as made:
        scenes = list(
            made.sequence(
                iter(frames(*range(11))), SMALL, 4, 2, on_step=lambda *step: steps.append(step)
            )
        )
        counts = made.counts()
    assert [len(scene) for scene in scenes] == [4, 2, 2, 2, 1]
    assert worst(scenes, own_space(range(4)), range(11)) < 1e-3
    names = [name for scene in scenes for name in scene.names]
    assert names == [f"{number:06d}_image.png" for number in range(11)]
    assert scenes[0].provenance.steps[-1] == "first_window"
    assert scenes[1].provenance.steps[-1].startswith("joined(frames=2, scale=")
    assert scenes[4].provenance.steps[-1].startswith("joined(frames=3, scale=")  # as long
    assert steps == [("frames", done, done) for done in (4, 6, 8, 10, 11)]
    assert programs.views["prefix"] == counts.misses == 11
    assert counts.hits == 4 * 5 - 11
    assert {len(seen) for seen in programs.scenes} == {4}


def test_a_planted_scale_of_one_window_is_corrected(programs: ScenePrograms) -> None:
    """Windows agree, but for the second, whose scale is three times the others'."""

    def space(numbers: Sequence[int]) -> Similarity:
        scale = 3.0 if min(numbers) == 2 else 1.0
        return Similarity(np.eye(3), np.zeros(3), scale)

    programs.space_of = space
    with pipeline((4,)) as made:
        scenes = list(made.sequence(frames(*range(8)), SMALL, window=4, overlap=2))
    assert "scale=0.333" in scenes[1].provenance.steps[-1]
    assert (
        "scale=1," in scenes[2].provenance.steps[-1]
        or "scale=1.0" in scenes[2].provenance.steps[-1]
    )
    assert worst(scenes, same_space(()), range(8)) < 1e-3


def test_windows_that_do_not_fit_are_told(
    programs: ScenePrograms, caplog: pytest.LogCaptureFixture
) -> None:
    with pipeline((4,)) as made:
        list(made.sequence(frames(*range(6)), SMALL, window=4, overlap=2))
        assert caplog.messages == []
        programs.noise = 0.5
        list(made.sequence(frames(*range(6)), SMALL, window=4, overlap=2))
    assert "frames from 4 on do not fit the frames before" in caplog.text


def test_a_short_sequence_is_one_window(programs: ScenePrograms) -> None:
    with pipeline((1, 2, 4)) as made:
        (scene,) = made.sequence(frames(5, 6), SMALL, window=4, overlap=2)
        assert worst([scene], own_space((5, 6)), (5, 6)) < 1e-4
        with pytest.raises(InputError, match="no frames"):
            list(made.sequence([], SMALL))
        with pytest.raises(NoProgramError, match="a scene of 3 views"):
            list(made.sequence(frames(5, 6, 7), SMALL, window=4, overlap=2))
    assert len(programs.scenes) == 1


def test_memory_does_not_grow_with_the_sequence(programs: ScenePrograms) -> None:
    """The generator reads no more than a window ahead."""
    read = 0

    def source() -> Iterator[np.ndarray]:
        nonlocal read
        for number in range(60):
            read = number + 1
            yield frame(number)

    programs.scenes = _Forgetful()
    held = []
    with pipeline((4,), cache_bytes=2_000) as made:
        tracemalloc.start()
        try:
            for number, scene in enumerate(made.sequence(source(), SMALL, 4, 2)):
                assert read == 4 + 2 * number
                assert len(scene) == (2 if number else 4)
                if number in (8, 27):
                    gc.collect()
                    held.append(tracemalloc.get_traced_memory()[0])
                    tracemalloc.reset_peak()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert number == 28
    assert scene.names == ("000058_image.png", "000059_image.png")
    assert held[1] - held[0] < 20_000
    assert peak < held[0] + 1_000_000


class _Forgetful(list):  # type: ignore[type-arg]
    def append(self, _item: object) -> None:
        """Keep nothing: what the test measures is not the stand-in's."""


def test_what_is_no_sequence_is_refused(programs: ScenePrograms) -> None:
    with pipeline((4,)) as made:
        for overlap in (0, 4):
            with pytest.raises(InputError, match="windows of 4 frames that share"):
                made.sequence(frames(1), SMALL, window=4, overlap=overlap)
        for asked in (SceneAsked(cameras=truth_cameras(1)), SceneAsked(names=("a",))):
            with pytest.raises(InputError, match="neither cameras nor names"):
                made.sequence(frames(1), asked)
        odd = [*frames(*range(4)), frame(4, (42, 28)), frame(5)]
        found = made.sequence(odd, SMALL, window=4, overlap=2)
        next(found)
        with pytest.raises(InputError, match="frame 4 has 42x28 px, the first frame has 28x42"):
            next(found)
        broken = made.sequence([*frames(*range(4)), b"no image"], SMALL, window=4, overlap=2)
        next(broken)
        with pytest.raises(InputError, match="image 4: "):
            next(broken)
    assert len(programs.scenes) == 2


def test_a_sequence_is_given_up_between_windows(programs: ScenePrograms) -> None:
    stop: list[bool] = []
    with pipeline((4,)) as made:
        found = made.sequence(
            frames(*range(20)), SMALL, window=4, overlap=2, given_up=lambda: bool(stop)
        )
        next(found)
        stop.append(True)
        with pytest.raises(GivenUpError):
            next(found)
        assert list(found) == []
    assert len(programs.scenes) == 1
