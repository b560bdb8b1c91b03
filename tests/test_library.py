from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from depth.artifact.manifest import Artifact, ParityLimit, ProgramKey
from serve.errors import NoProgram, Refused
from serve.library import Library
from tests.programs import SIZES, make_artifact


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("library"))


def with_manifest(artifact: Artifact, **changes: object) -> Artifact:
    return replace(artifact, manifest=replace(artifact.manifest, **changes))  # type: ignore[arg-type]


def test_each_size_has_the_programs_of_one_artifact(artifact: Artifact) -> None:
    (size, _), first = SIZES, artifact.manifest.programs[0]
    larger = with_manifest(artifact, programs=(first, replace(first, batch=4)))
    library = Library([artifact, larger])
    assert library.sizes == list(SIZES)
    assert library.programs == [ProgramKey(*size, 1) for size in SIZES]
    assert Library([larger]).programs == [ProgramKey(*size, 1), ProgramKey(*size, 4)]
    assert Library([larger]).stages(ProgramKey(*size, 4)) == (larger, larger.manifest.programs[1:])


def test_half_a_program_is_none(artifact: Artifact) -> None:
    encoder = replace(artifact.manifest.programs[0], stage="encoder")
    assert Library([with_manifest(artifact, programs=(encoder,))]).programs == []


def test_an_empty_library_says_what_to_do() -> None:
    with pytest.raises(NoProgram, match="compile build"):
        Library([]).any_artifact()


def test_a_missing_size_says_how_to_get_it(artifact: Artifact) -> None:
    library = Library([artifact])
    with pytest.raises(NoProgram, match=r"compile build --size 98x98.*buckets"):
        library.prepare([SIZES[0], (98, 98)])


def test_missing_sizes_are_built_once_and_together(artifact: Artifact, tmp_path: Path) -> None:
    asked: list[Sequence[tuple[int, int]]] = []

    def build(sizes: Sequence[tuple[int, int]]) -> list[Artifact]:
        asked.append(sizes)
        return [make_artifact(tmp_path, sizes=sizes)]

    library = Library([artifact], build=build)
    wanted = [(28, 42), SIZES[0], (42, 28), (28, 42)]
    library.prepare(wanted)
    library.prepare(wanted)
    assert asked == [[(28, 42), (42, 28)]]
    assert {(28, 42), (42, 28)} <= set(library.sizes)


def test_a_build_that_leaves_a_size_out_is_noticed(artifact: Artifact) -> None:
    with pytest.raises(NoProgram, match="98x98"):
        Library([artifact], build=lambda _: [artifact]).prepare([(98, 98)])


def test_failed_parity_is_refused_unless_allowed(artifact: Artifact) -> None:
    failed = with_manifest(artifact, parity_limit=ParityLimit(1e-9, 1e-9, passed=False))
    with pytest.raises(Refused, match="--allow-failed-parity"):
        Library([failed])
    assert Library([failed], allow_failed_parity=True).sizes == list(SIZES)


def test_an_artifact_that_was_never_measured_is_refused_unless_allowed(artifact: Artifact) -> None:
    built = with_manifest(artifact, parity_limit=ParityLimit(0.1, 0.01, passed=None))
    with pytest.raises(Refused, match="--on-device.*--allow-unverified"):
        Library([built])
    assert Library([built], allow_unverified=True).sizes == list(SIZES)
    with pytest.raises(Refused, match="--allow-unverified"):
        Library([built], allow_failed_parity=True)


@pytest.mark.parametrize(
    "change", [{"model": "vits"}, {"precision": "bf16"}, {"target": "onnx"}], ids=str
)
def test_artifacts_that_do_not_go_together(artifact: Artifact, change: dict[str, str]) -> None:
    with pytest.raises(Refused, match=f"{next(iter(change))} is "):
        Library([artifact, with_manifest(artifact, **change)])


ABSURD = 10**400
UNSERVABLE = {
    "preprocess.mode": "letterbox",
    "preprocess.mean": (0.9, 0.456, 0.406),
    "preprocess.std": (0.229, 0.224, 0.5),
    "preprocess.interpolation": "area",
    "preprocess.multiple_px": 16,
    "preprocess.folded": ("resize",),
    "preprocess.short_side_px": 0,
    "kind": "disparity",
    "max_depth_m": 20.0,
    "programs.stage": "head",
    "programs.batch": 0,
    "programs.height_px": -14,
    "programs.width_px": 57,
    "programs.input_dtype": "float16",
    "programs.output_dtype": "float16",
}
CASES = [*UNSERVABLE.items(), ("kind", "metric"), ("preprocess.short_side_px", ABSURD)]
CASES += [(f"programs.{name}", ABSURD) for name in ("batch", "height_px", "width_px")]


@pytest.mark.parametrize(("field", "value"), CASES, ids=lambda value: str(value)[:24])
def test_what_this_version_does_not_do_is_not_served(
    artifact: Artifact, field: str, value: object
) -> None:
    m = artifact.manifest
    part, _, name = field.rpartition(".")
    changes: dict[str, object] = {name: value}
    if part == "preprocess":
        changes = {part: replace(m.preprocess, **changes)}  # type: ignore[arg-type]
    if part == "programs":
        changes = {part: (m.programs[0], replace(m.programs[1], **changes))}  # type: ignore[arg-type]
    with pytest.raises(Refused, match=f"{artifact.folder}.*; this version cannot serve it") as told:
        Library([with_manifest(artifact, **changes)], None, True, True)
    assert "expected" in str(told.value) or "must be a multiple of 14" in str(told.value)


def test_a_step_that_programs_do_themselves_is_served(artifact: Artifact) -> None:
    folded = replace(artifact.manifest.preprocess, folded=("normalisation",))
    assert Library([with_manifest(artifact, preprocess=folded)]).sizes == list(SIZES)
