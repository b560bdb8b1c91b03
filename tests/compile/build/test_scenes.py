"""Models of scenes: built in stages for each CPU target, and the saved files proven on scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compile.build.build import build
from compile.build.request import Request
from compile.build.scenes import ScenePrograms
from compile.errors import ParityError
from compile.parity.again import reparity
from compile.targets import torchscript
from compile.targets.protocols import Arrays, Ports, Run
from compile.targets.table import target_named
from compile.untrained import untrained_checkpoint
from compile.views import VIEWS
from depth.artifact.manifest import Artifact, Manifest, dump_manifest, parse_manifest, read_artifact
from depth.artifact.probe import probe_inputs
from depth.artifact.steps import Do, OrderViews
from depth.errors import ArtifactError, InputError
from depth.maps.result import FloatArray
from depth_anything_3 import config
from depth_anything_3.anyview.config import model_row
from tests.support.da3_views import SIZE, TINY, TINY_MODEL
from tests.support.models import DEMO

STAGES = ["prefix", "cameras", "trunk", "head"]


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config.MODELS, TINY_MODEL.name, TINY_MODEL)


def asked(target: str = "torchscript", precision: str = "fp32", **others: object) -> Request:
    weights = untrained_checkpoint(TINY_MODEL)
    made = Request(TINY_MODEL, weights, target, precision, [SIZE], views=(1, 3))
    return replace(made, **others)


def made(request: Request, out: Path) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(config.MODELS, TINY_MODEL.name, TINY_MODEL)
        return read_artifact(build(request, out))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return made(asked(batches=(2,), rays=True), tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return made(asked(views=(2,)), tmp_path_factory.mktemp("pairs"))


def test_a_program_for_each_batch_or_number_of_views(built: Artifact) -> None:
    m = built.manifest
    assert sorted(program.name for program in m.programs) == [
        "56x84-b1-cameras",
        "56x84-b1-trunk",
        "56x84-b2-head",
        "56x84-b2-head_rays",
        "56x84-b2-prefix",
        "56x84-s3-b1-cameras",
        "56x84-s3-b1-trunk",
    ]
    assert (m.views.least, m.views.most) == (1, 3)
    assert list(m.runs) == [*STAGES, "head_rays"]
    assert {output.name: output.kind for output in m.outputs} == {
        "depth": "relative_depth",
        "confidence": "confidence",
        "cameras": "camera",
        "rays": "rays",
        "ray_confidence": "confidence",
    }
    (order,) = [s.step for s in m.steps if isinstance(s, Do) and isinstance(s.step, OrderViews)]
    assert order.strategy == "saddle_balanced"
    trunk = next(program for program in m.programs if program.name == "56x84-s3-b1-trunk")
    assert trunk.shapes(trunk.inputs) == {"tokens": (1, 3, 25, 32), "camera_tokens": (1, 3, 32)}
    assert trunk.shapes(trunk.outputs)["codes"] == (1, 3, 9)


def test_every_output_has_figures_within_its_limits(built: Artifact) -> None:
    m = built.manifest
    assert m.gate.passed
    assert set(m.gate.limits["cameras"]) == {"rotation_deg", "translation", "field_of_view_deg"}
    for program in m.programs:
        assert program.measured is not None
        assert set(program.measured) == {output.name for output in m.outputs}
        assert program.measured["cameras"]["other_reference"] == 0


@pytest.mark.long
@pytest.mark.parametrize(
    ("target", "precision"), [("openvino", "fp32"), ("openvino", "bf16"), ("onnx", "fp32")]
)
def test_other_targets(target: str, precision: str, tmp_path: Path) -> None:
    if target == "openvino":
        from compile.targets.openvino import runs_natively

        if not runs_natively(precision):
            pytest.skip(f"this CPU has no {precision}")
    m = read_artifact(build(asked(target, precision, views=(2,)), tmp_path)).manifest
    assert m.gate.passed
    assert sorted(program.stage for program in m.programs) == sorted(STAGES)
    measured = m.programs[0].measured
    assert measured is not None
    # Real arithmetic in another order, or in another precision: not a copy of the reference.
    assert 0 < (measured["depth"]["max_rel"] or 0) < (1e-5 if precision == "fp32" else 0.1)


def test_a_network_like_the_giant(tmp_path: Path) -> None:
    """SwiGLU, and a block over all views as the first of the trunk."""
    changes = {"swiglu": True, "depth": 7, "alternate_from": 3, "taps": (3, 4, 5, 6)}
    row = model_row(replace(TINY, name="tiny-giant", **changes), TINY_MODEL.size)
    request = asked(model=row, checkpoint=untrained_checkpoint(row), target="onnx", views=(2,))
    m = read_artifact(build(request, tmp_path)).manifest
    assert m.gate.passed
    assert (m.model, m.views.most) == ("tiny-giant", 2)


def test_views_are_1_2_and_4_by_default() -> None:
    assert asked(views=()).scene_views == VIEWS == (1, 2, 4)
    assert asked(views=(4, 4, 2)).scene_views == (4, 2)


def test_the_gate_again_and_the_answers_to_the_probe(built: Artifact) -> None:
    found = reparity(built, None, [], lambda _: None, probe=True)
    assert found.problems == []
    programs = [program.name for chain in found.chains for program in chain.programs]
    assert sorted(programs) == sorted(program.name for program in built.manifest.programs)
    for chain in found.chains:
        for program in chain.programs:
            assert set(chain.answers[program.name]) == {t.name for t in program.outputs}
            assert chain.measured == program.measured
            shapes = {name: a.shape for name, a in probe_inputs(built.manifest, program).items()}
            assert shapes == program.shapes(program.inputs)
    assert "56x84-s3-b1-cameras" in found.table()


def spoilt(monkeypatch: pytest.MonkeyPatch, outputs: Sequence[str], change: FloatArray) -> None:
    """Loaded programs with these outputs give them times `change`."""
    load = torchscript.load

    def loaded(files: Sequence[Path], ports: Ports, precision: str) -> Run:
        run = load(files, ports, precision)

        def wrong(arrays: Arrays) -> dict[str, FloatArray]:
            found = run(arrays)
            return {n: a * change if n in outputs else a for n, a in found.items()}

        return wrong

    monkeypatch.setattr(torchscript, "load", loaded)


QUATERNION = np.array([1, 1, 1, 1.1, 1, 1, 1, 1, 1], np.float32)  # of its nine numbers
ANGLE = np.array([1, 1, 1, 1, 1, 1, 1, 1.02, 1], np.float32)
POSITION = np.array([1.01, 1, 1, 1, 1, 1, 1, 1, 1], np.float32)


@pytest.mark.parametrize(
    ("output", "change", "text"),
    [
        ("codes", QUATERNION, "cameras rotation_deg"),
        ("codes", POSITION, "cameras translation"),
        ("codes", ANGLE, "cameras field_of_view_deg"),
        ("confidence", np.float32(1.01), "confidence max_rel"),
        ("camera_tokens", np.float32(1.5), "depth max_rel"),
        ("depth", np.float32(np.nan), "depth that is not finite"),
        ("codes", np.float32(np.nan), "cameras that are not finite"),
        ("class_tokens", np.float32(np.nan), "class tokens are not finite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_output_fails(
    output: str,
    change: FloatArray,
    text: str,
    pairs: Artifact,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert pairs.manifest.gate.passed
    spoilt(monkeypatch, [output], change)
    found = reparity(pairs, None, [], lambda _: None)
    assert len(found.problems) == len(found.chains) == 2
    assert all(text in problem for problem in found.problems)


def test_nothing_is_written_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt(monkeypatch, ["depth"], np.float32(1.01))
    with pytest.raises(ParityError, match="56x84-b1-cameras: .* depth max_rel"):
        build(asked(views=(1,)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_known_camera_that_is_ignored_fails(
    pairs: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that takes every camera as unknown is right on all scenes but that one."""
    load = torchscript.load

    def loaded(files: Sequence[Path], ports: Ports, precision: str) -> Run:
        run = load(files, ports, precision)
        return lambda arrays: run({**arrays, "known": np.zeros((1, 1, 1), np.float32)})

    monkeypatch.setattr(torchscript, "load", loaded)
    found = reparity(pairs, None, [], lambda _: None)
    assert all("depth max_rel" in problem for problem in found.problems)
    assert found.problems
    within = found.limits["depth"]["max_rel"]
    for result in found.chains[0].results:
        over = (result.measured["depth"]["max_rel"] or 0) > within
        assert over == result.probe.endswith("known cameras")


def test_what_scenes_cannot_have_is_refused(tmp_path: Path) -> None:
    for views in ((0,), (513,)):
        with pytest.raises(InputError, match="a scene has 1 to 512"):
            build(asked(views=views), tmp_path)
    with pytest.raises(InputError, match="int8 and auto are calibrated and"):
        build(asked("openvino", "int8"), tmp_path)
    with pytest.raises(InputError, match="has no rays: leave out --rays"):
        build(asked(model=replace(TINY_MODEL, rays=None), rays=True), tmp_path)
    single = Request(DEMO, untrained_checkpoint(DEMO), "torchscript", "fp32", [(252, 252)])
    for wrong in (replace(single, views=(2,)), replace(single, rays=True)):
        with pytest.raises(InputError, match="takes one image at a time: .* da3-small"):
            build(wrong, tmp_path)
    assert not list(tmp_path.iterdir())


def test_programs_that_make_no_scene_are_refused(built: Artifact) -> None:
    m = built.manifest

    def refused(altered: Manifest, text: str) -> None:
        with pytest.raises(ArtifactError, match=text):
            parse_manifest(dump_manifest(altered), "x")

    def without(stage: str, views: int) -> Manifest:
        left = [p for p in m.programs if (p.stage, p.views) != (stage, views)]
        return replace(m, programs=tuple(left))

    refused(without("cameras", 3), "programs of 56x84 px make no scenes")
    refused(without("head", 1), "programs of 56x84 px make no scenes")
    refused(replace(m, views=replace(m.views, most=4)), r"field views is .*3\] views")


def test_a_size_is_made_once_whatever_the_batches(tmp_path: Path) -> None:
    request = asked(batches=(1, 2), sizes=[SIZE, (28, 42), SIZE])
    maker = ScenePrograms(request, target_named("torchscript"), tmp_path, torchscript)
    assert list(maker.shapes()) == [(SIZE, 1), ((28, 42), 1)]
