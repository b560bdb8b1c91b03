from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from depth.artifact.manifest import Artifact, Gate, Views
from depth.artifact.program import ProgramKey, Shape, Tensor
from depth.artifact.steps import SCENE, Do, Resize, ResizeBack, RunStage, Step
from serve.errors import NoProgramError, RefusedError
from serve.library import Library
from tests.support.manifests import (
    DEPTH,
    FOLDED_STEPS,
    IMAGES,
    LOWER_28,
    RELATIVE_OUTPUTS,
    V2_STEPS,
    made_artifact,
    made_manifest,
    made_program,
    made_split,
    sky_manifest,
)

SIZES = [(56, 70), (70, 56)]
KEYS = [ProgramKey(*size, 1) for size in SIZES]


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return made_artifact(made_manifest(KEYS), Path("folder"))


def with_manifest(artifact: Artifact, **changes: Any) -> Artifact:
    return made_artifact(replace(artifact.manifest, **changes), artifact.folder)


def test_each_shape_has_the_programs_of_one_artifact(artifact: Artifact) -> None:
    size = SIZES[0]
    more = ProgramKey(*size, 4)
    larger = made_artifact(made_manifest([KEYS[0], more]))
    library = Library([artifact, larger])
    assert library.sizes == SIZES
    assert library.programs == KEYS
    assert Library([larger]).programs == [KEYS[0], more]
    assert Library([larger]).stages[more] == (larger, larger.manifest.programs[1:])
    assert library.find(size).artifact is artifact


def test_programs_of_several_views_are_no_programs_for_an_image(artifact: Artifact) -> None:
    scene = ProgramKey(*SIZES[0], 1, views=2)
    several = Tensor("images", "BS3HW", "float32")
    with pytest.raises(
        RefusedError, match=r"input images of 56x70-s2-b1 has shape \(1, 2, 3, 56, 70\)"
    ):
        Library([with_manifest(artifact, programs=(made_program(scene, [several]),))])


def test_half_a_program_is_none(artifact: Artifact) -> None:
    encoder, decoder = made_split(KEYS[0])
    whole = made_program(KEYS[1])
    assert Library([with_manifest(artifact, programs=(encoder, whole))]).programs == [KEYS[1]]
    both = with_manifest(artifact, programs=(encoder, decoder))
    assert Library([both]).stages[KEYS[0]] == (both, (encoder, decoder))


def test_an_empty_library_says_what_to_do() -> None:
    with pytest.raises(NoProgramError, match="compile build"):
        Library([]).any_artifact()


def test_a_missing_size_says_how_to_get_it(artifact: Artifact) -> None:
    library = Library([artifact])
    with pytest.raises(NoProgramError, match=r"compile build --size 98x98.*buckets"):
        library.prepare([SIZES[0], (98, 98)])


def test_missing_sizes_are_built_once_and_together(artifact: Artifact) -> None:
    asked: list[Sequence[tuple[int, int]]] = []

    def build(sizes: Sequence[tuple[int, int]]) -> list[Artifact]:
        asked.append(sizes)
        return [made_artifact(made_manifest([ProgramKey(*size, 1) for size in sizes]))]

    library = Library([artifact], build=build)
    wanted = [(28, 42), SIZES[0], (42, 28), (28, 42)]
    library.prepare(wanted)
    library.prepare(wanted)
    assert asked == [[(28, 42), (42, 28)]]
    assert {(28, 42), (42, 28)} <= set(library.sizes)


def test_a_build_that_leaves_a_size_out_is_noticed(artifact: Artifact) -> None:
    with pytest.raises(NoProgramError, match="98x98"):
        Library([artifact], build=lambda _: [artifact]).prepare([(98, 98)])


def test_failed_parity_is_refused_unless_allowed(artifact: Artifact) -> None:
    failed = with_manifest(artifact, gate=Gate({}, passed=False))
    with pytest.raises(RefusedError, match="--allow-failed-parity"):
        Library([failed])
    assert Library([failed], allow_failed_parity=True).sizes == SIZES


def test_an_artifact_that_was_never_measured_is_refused_unless_allowed(artifact: Artifact) -> None:
    built = with_manifest(artifact, gate=Gate({}, passed=None))
    with pytest.raises(RefusedError, match="--on-device.*--allow-unverified"):
        Library([built])
    assert Library([built], allow_unverified=True).sizes == SIZES
    with pytest.raises(RefusedError, match="--allow-unverified"):
        Library([built], allow_failed_parity=True)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "vits"},
        {"family": "another"},
        {"precision": "bf16"},
        {"target": "onnx"},
        {"size": replace(LOWER_28, side_px=42)},
        {"steps": FOLDED_STEPS},
    ],
    ids=lambda change: next(iter(change)),
)
def test_artifacts_that_do_not_go_together(artifact: Artifact, change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match=f"{next(iter(change))} is "):
        Library([artifact, with_manifest(artifact, **change)])


ABSURD = 10**400


def changed_steps(place: int, step: Step) -> dict[str, Any]:
    return {"steps": (*V2_STEPS[:place], step, *V2_STEPS[place + 1 :])}


def changed_output(**changes: Any) -> dict[str, Any]:
    return {"outputs": (replace(RELATIVE_OUTPUTS[0], **changes),)}


def changed_program(**changes: Any) -> dict[str, Any]:
    program = made_program(KEYS[0])
    shape = {**program.shape, **changes.pop("shape", {})}
    return {"programs": (made_program(KEYS[1]), replace(program, shape=shape, **changes))}


UNSERVABLE: dict[str, dict[str, Any]] = {
    "resize by area": changed_steps(0, Do(Resize("cubic", "lanczos", "float64", 1))),
    "resize in three passes": changed_steps(0, Do(Resize("cubic", "cubic", "float64", 3))),
    "resize in float16": changed_steps(0, Do(Resize("cubic", "cubic", "float16", 1))),
    "no resize": {"steps": V2_STEPS[1:]},
    "normalise afterwards": {"steps": (V2_STEPS[0], *V2_STEPS[2:], V2_STEPS[1])},
    "resize back first": {"steps": (V2_STEPS[3], *V2_STEPS[:3])},
    "resize back by cubic": changed_steps(3, Do(ResizeBack("cubic", True))),
    "resize back by edges": changed_steps(3, Do(ResizeBack("bilinear", False))),
    "a run per scene": changed_steps(2, RunStage("fused", SCENE)),
    "two runs": {"steps": (*V2_STEPS, RunStage("fused"))},
    "bound": {"size": replace(LOWER_28, bound="middle")},
    "rounding": {"size": replace(LOWER_28, rounding="down")},
    "multiple": {"size": replace(LOWER_28, multiple_px=16)},
    "no multiple": {"size": replace(LOWER_28, multiple_px=0)},
    "no side": {"size": replace(LOWER_28, side_px=0)},
    "absurd side": {"size": replace(LOWER_28, side_px=ABSURD)},
    "scenes": {"views": Views(2, 4)},
    "kind": changed_output(kind="disparity"),
    "kind of no depth": changed_output(kind="sky"),
    "becomes": changed_output(becomes="disparity"),
    "largest": changed_output(largest=0.0),
    "no depth": changed_output(name="disparity"),
    "two of a name": {"outputs": RELATIVE_OUTPUTS * 2},
    "batch": changed_program(shape={"B": ABSURD}),
    "width": changed_program(shape={"W": 57}),
    "absurd width": changed_program(shape={"W": ABSURD}),
    "absurd height": changed_program(shape={"H": ABSURD}),
    "input dtype": changed_program(inputs=(replace(IMAGES, dtype="uint8"),)),
    "output dtype": changed_program(outputs=(replace(DEPTH, dtype="float16"),)),
    "input name": changed_program(inputs=(replace(IMAGES, name="image"),)),
    "input axes": changed_program(inputs=(replace(IMAGES, axes="BHW3"),)),
    "output name": changed_program(outputs=(replace(DEPTH, name="disparity"),)),
    "output axes": changed_program(outputs=(replace(DEPTH, axes="B1HW"),)),
}


@pytest.mark.parametrize("case", UNSERVABLE)
def test_what_this_version_does_not_do_is_not_served(artifact: Artifact, case: str) -> None:
    changed = with_manifest(artifact, **UNSERVABLE[case])
    with pytest.raises(RefusedError, match="folder: .*; this version cannot serve it") as told:
        Library([changed], None, True, True)
    says = str(told.value)
    assert any(words in says for words in ("expected", "must be a multiple of", "this version "))


def test_stages_that_do_not_fit_are_not_served(artifact: Artifact) -> None:
    encoder, decoder = made_split(KEYS[0])
    other = replace(decoder, shape={**decoder.shape, "N": 7})
    with pytest.raises(RefusedError, match="input features of 56x70-b1-decoder has shape"):
        Library([with_manifest(artifact, programs=(encoder, other))])


def test_steps_of_other_models_and_of_programs_that_normalise_are_served(
    artifact: Artifact,
) -> None:
    assert Library([with_manifest(artifact, steps=FOLDED_STEPS)]).sizes == SIZES
    assert Library([made_artifact(sky_manifest(KEYS))]).shape(SIZES[0]) == Shape(*SIZES[0])
