"""Scenes for the device targets through the stand-ins: each stage a program, with fallbacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compile.build.build import build
from compile.build.request import Request
from compile.errors import CompilerError, PreflightError
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.verification import state
from depth.network.rotary import QuarterTurn
from depth_anything_3 import config
from tests.support.da3_views import TINY_MODEL
from tests.support.neuron_builds import EASIER, PRECISION, TARGET, neuronx_fixture, standin_fixture
from tests.support.neuron_standin import IS_1_13, SMALL, Standin

pytestmark = pytest.mark.long  # processes and whole builds

__all__ = ["neuronx_fixture", "standin_fixture"]
Built = Callable[..., Artifact]
ALONE = [name.partition("stages apart, ")[2] for name in EASIER if ", " in name]


@pytest.fixture(name="device")
def device_fixture(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Standin:
    made: Standin = request.getfixturevalue("standin" if IS_1_13 else "neuronx")
    monkeypatch.setitem(config.MODELS, TINY_MODEL.name, TINY_MODEL)
    return made


@pytest.fixture(name="built")
def built_fixture(device: Standin, tmp_path: Path) -> Built:
    def built(**changes: Any) -> Artifact:
        asked = {"views": (2,), "settings": device.settings, **changes}
        weights = untrained_checkpoint(TINY_MODEL)
        request = Request(TINY_MODEL, weights, TARGET, PRECISION, [SMALL], **asked)
        return read_artifact(build(request, tmp_path / "out"))

    return built


def test_every_stage_is_compiled_once_per_batch_or_number_of_views(
    built: Built, device: Standin
) -> None:
    artifact = built(views=(1, 2), batches=(1, 2), rays=True)
    names = sorted(program.name for program in artifact.manifest.programs)
    assert names == sorted(
        [
            *(f"28x42-b{b}-{s}" for b in (1, 2) for s in ("prefix", "head", "head_rays")),
            *(f"28x42{v}-b1-{s}" for v in ("", "-s2") for s in ("cameras", "trunk")),
        ]
    )
    assert len(device.calls()) == len(names)
    assert state(artifact) == "built"
    assert artifact.manifest.gate.passed is None
    report = (artifact.folder / "report.md").read_text()
    assert "28x42-s2-b1-trunk for" in report
    assert "per scene of 2 views" in report


def test_a_stage_of_one_view_falls_back_to_half_the_batch_and_a_scene_stays_whole(
    built: Built, device: Standin
) -> None:
    tries = 1 + len(ALONE)
    device.behave(*["kill"] * tries)  # the first stage at batch 2, in every way; then all is well
    artifact = built(batches=(2,))
    names = {program.name for program in artifact.manifest.programs}
    assert names == {
        "28x42-b1-prefix",
        "28x42-s2-b1-cameras",
        "28x42-s2-b1-trunk",
        "28x42-b2-head",
    }
    assert len(device.calls()) == tries + 4


def test_a_trunk_that_never_compiles_is_not_tried_with_fewer_views(
    built: Built, device: Standin
) -> None:
    device.behave("ok", "ok", *["kill"] * (1 + len(ALONE)))
    with pytest.raises(CompilerError) as raised:
        built()
    tried = [line.split(":")[0] for line in str(raised.value).splitlines()[1:]]
    assert tried == ["- as asked", *(f"- {name}" for name in ALONE)]
    assert len(device.calls()) == 3 + len(ALONE)


def test_a_trunk_with_an_operator_that_the_chip_has_not_is_refused_before_compiling(
    built: Built, device: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bicubic(_self: QuarterTurn, x: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(x, scale_factor=1.0, mode="bicubic")

    monkeypatch.setattr(QuarterTurn, "forward", bicubic)
    with pytest.raises(PreflightError, match="28x42-s2-b1-trunk: 8 operators would not run"):
        built()
    assert device.calls() == []
