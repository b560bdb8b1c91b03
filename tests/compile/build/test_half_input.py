"""Artifacts whose images are float16: built, measured and served like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compile.build.build import build
from compile.build.fastest.build import build_fastest
from compile.build.request import Request
from compile.parity.again import reparity
from compile.parity.device import keep
from compile.parity.inputs import Picture
from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.verification import VERIFIED, state
from depth.errors import InputError
from depth.maps.result import FloatArray
from depth_anything_v2.config import MODELS
from serve.backend import open_runtime
from serve.engine import Engine
from serve.library import Library
from serve.runtimes.neuron_program import OnCore
from serve.shapes import BUCKETS
from tests.support.engines import image_of
from tests.support.networks import SIZE, request
from tests.support.neuron_builds import (
    TINY_MODEL,
    Made,
    device_fixture,
    made_fixture,
    neuronx_fixture,
    standin_fixture,
)
from tests.support.neuron_machine import Machine, machine_fixture
from tests.support.neuron_machine import device as one_device
from tests.support.neuron_served import LANE
from tests.support.neuron_standin import SMALL, Standin

pytestmark = pytest.mark.long

__all__ = [
    "device_fixture",
    "machine_fixture",
    "made_fixture",
    "neuronx_fixture",
    "standin_fixture",
]
HALF = ("normalisation", "input=fp16")
TARGETS = ["torchscript", "onnx", "openvino"]


def built(out: Path, target: str = "torchscript", **changes: object) -> Artifact:
    return read_artifact(build(request(target=target, variants=HALF, **changes), out))


def max_rel(artifact: Artifact) -> float:
    (program,) = artifact.manifest.programs
    assert program.measured is not None
    return float(program.measured["depth"]["max_rel"] or 0)


@pytest.mark.parametrize("target", TARGETS)
def test_a_cpu_target_takes_float16_and_gives_the_numbers(target: str, tmp_path: Path) -> None:
    artifact = built(tmp_path, target)
    (program,) = artifact.manifest.programs
    assert [(tensor.name, tensor.dtype) for tensor in program.inputs] == [("images", "float16")]
    assert {tensor.dtype for tensor in program.outputs} == {"float32"}
    assert f"lowering={','.join(HALF)}" in artifact.manifest.flags
    assert artifact.manifest.gate.passed
    assert max_rel(artifact) < 1e-5  # the gate's own images are whole levels
    with Engine(Library([artifact]), BUCKETS) as engine:
        image = image_of(engine, SIZE)
        depth = engine.result(image.source).depth.values
    plain = read_artifact(build(request(target=target), tmp_path))
    with Engine(Library([plain]), BUCKETS) as engine:
        expected = engine.result(image_of(engine, SIZE).source).depth.values
    assert np.abs(depth - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("target", TARGETS)
def test_the_program_itself_sees_rounded_images(target: str, tmp_path: Path) -> None:
    """Values between the levels give the numbers of the nearest float16; each run may round."""
    artifact = built(tmp_path, target)
    runtime = open_runtime(artifact, artifact.manifest.programs)
    values = np.random.default_rng(0).uniform(0, 255, (1, 3, *SIZE)).astype(np.float32)
    near = values.astype(np.float16).astype(np.float32)
    first, second = (runtime.run({"images": each})["depth"] for each in (values, near))
    assert not np.array_equal(values, near)
    assert first.dtype == np.float32
    assert np.abs(first - second).max() <= 5e-6 * np.abs(second).max()


def test_a_stage_takes_float16_and_hands_on_float32(tmp_path: Path) -> None:
    encoder, decoder = built(tmp_path, split=True).manifest.programs
    assert [tensor.dtype for tensor in encoder.inputs] == ["float16"]
    assert [tensor.dtype for tensor in (*encoder.outputs, *decoder.inputs)] == ["float32"] * 2


def test_parity_shows_the_rounding_of_a_photograph_that_is_resized(tmp_path: Path) -> None:
    """The reference gets the image as it is. Its resize leaves values between the levels."""
    pixels = np.random.default_rng(0).integers(0, 256, (130, 170, 3), dtype=np.uint8)
    photographs = [Picture("noise", pixels)]
    half = max_rel(built(tmp_path, photographs=photographs))
    plain = request(variants=HALF[:1], photographs=photographs)
    full = max_rel(read_artifact(build(plain, tmp_path)))
    assert full < 1e-5
    assert 2e-5 < half < 5e-4


def test_a_device_target_takes_float16_and_is_verified(
    made: Made, device: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "tiny", TINY_MODEL)
    artifact = made(variants=HALF[1:])
    (program,) = artifact.manifest.programs
    assert [tensor.dtype for tensor in program.inputs] == ["float16"]
    device.plug_in()
    keep(artifact, reparity(artifact, None, [], lambda _: None, probe=True))
    assert state(artifact) == VERIFIED


def test_a_core_is_handed_float16(
    made: Made, device: Standin, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = made(variants=HALF[1:])
    device.plug_in()
    machine.says(one_device(0, LANE.cores))
    seen: list[np.dtype[Any]] = []
    infer = OnCore.infer

    def watched(self: OnCore, given: dict[str, FloatArray]) -> list[FloatArray]:
        seen.append(given["images"].dtype)
        return infer(self, given)

    monkeypatch.setattr(OnCore, "infer", watched)
    with Engine(Library([artifact], allow_unverified=True), BUCKETS) as engine:
        result = engine.result(image_of(engine, SMALL).source)
    assert np.isfinite(result.depth.values).all()
    assert set(seen) == {np.dtype(np.float16)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": HALF[1:]}, "'input' needs the pass 'normalisation'"),
        (
            {"target": "openvino", "precision": "int8", "quantisation": "images"},
            "'int8' is calibrated on float32: leave out input=fp16",
        ),
        (
            {"target": "inf1", "precision": "matmult-fp16-io16"},
            "'matmult-fp16-io16' has float16 in and out already: leave out input=fp16, or take",
        ),
    ],
    ids=["normalised", "int8", "io16"],
)
def test_combinations_that_make_no_sense_are_refused(
    changes: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compile.build.build.ready", lambda *_: None)
    asked = replace(request(variants=HALF), **changes)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        build(asked, tmp_path)
    assert not list(tmp_path.iterdir())


def test_auto_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    def ask(precision: str, _layers: object) -> Request:
        return request(target="openvino", precision=precision, variants=HALF)

    with pytest.raises(InputError, match="'auto' tries int8 too, which takes no input=fp16"):
        build_fastest(ask, "openvino", tmp_path, lambda _: None)
    assert not list(tmp_path.iterdir())
