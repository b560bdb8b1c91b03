"""Parity on the device measures every batch size, and each image of a batch."""

from __future__ import annotations

import importlib
from typing import Any, Callable

import pytest
from torch import Tensor

from compile.parity.again import Reparity, reparity
from compile.parity.device import keep
from depth.artifact.manifest import Artifact
from depth.artifact.verification import read_verification, state
from depth_anything_v2.config import MODELS
from tests.support.neuron_builds import (
    TINY_MODEL,
    Made,
    device_fixture,
    made_fixture,
    neuronx_fixture,
    standin_fixture,
)
from tests.support.neuron_standin import Standin

pytestmark = pytest.mark.long

__all__ = ["device_fixture", "made_fixture", "neuronx_fixture", "standin_fixture"]


@pytest.fixture(name="built")
def built_fixture(made: Made, device: Standin, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """An artifact with batch sizes 1 and 2, on a machine with a chip."""
    monkeypatch.setitem(MODELS, TINY_MODEL.name, TINY_MODEL)
    artifact = made(batches=[1, 2])
    device.plug_in()
    return artifact


def measured(artifact: Artifact) -> Reparity:
    return reparity(artifact, None, [], lambda _: None, probe=True)


def failed(found: Reparity) -> list[str]:
    return [chain.key.name for chain in found.chains if chain.problem]


def test_every_program_is_measured_and_in_verified_json(built: Artifact) -> None:
    found = measured(built)
    assert [chain.key.name for chain in found.chains] == ["28x42-b1", "28x42-b2"]
    assert failed(found) == []
    keep(built, found)
    assert state(built) == "verified"


def test_a_program_that_is_wrong_at_two_images_only_fails(built: Artifact, device: Standin) -> None:
    """As on Inf2 in aws-neuron/aws-neuron-sdk#1323: batch 1 was right there, larger ones wrong."""
    (device.control / "wrong_batches").write_text("2\n")
    found = measured(built)
    assert failed(found) == ["28x42-b2"]
    keep(built, found)
    assert state(built) == "failed"
    verification = read_verification(built)
    assert verification is not None
    assert [program.name for program in verification.programs] == [
        program.name for program in built.manifest.programs
    ]


@pytest.mark.parametrize(
    "spoil",
    [lambda x: x[:1].expand_as(x), lambda x: x.flip(0)],
    ids=["the first image for all", "in another order"],
)
def test_each_image_of_a_batch_is_compared_with_its_own_reference(
    built: Artifact, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Tensor], Tensor]
) -> None:
    model = importlib.import_module("neuron_base.runtime").Model
    original = model.run

    def run(*arguments: Any) -> list[Tensor]:
        return [spoil(x) for x in original(*arguments)]

    monkeypatch.setattr(model, "run", run)
    assert failed(measured(built)) == ["28x42-b2"]
