"""A model of two networks, compiled as one: scenes, and how long a metre is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from compile.build.build import build
from compile.build.request import Request
from compile.parity.again import reparity
from compile.targets import torchscript
from compile.targets.protocols import Arrays, Ports, Run
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact, read_artifact
from depth.errors import CheckpointError
from depth.family import build as network_of
from depth.family import load_weights
from depth.maps.result import FloatArray
from depth_anything_3 import config
from depth_anything_3.anyview.config import NestedModel, nested_row
from tests.support import da3
from tests.support.da3_views import SIZE, TINY_MODEL, nested_state, to_upstream, weights

NESTED = nested_row(NestedModel("tiny-nested", TINY_MODEL, da3.TINY_METRIC))


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config.MODELS, NESTED.name, NESTED)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(config.MODELS, NESTED.name, NESTED)
        checkpoint = untrained_checkpoint(NESTED)
        request = Request(NESTED, checkpoint, "torchscript", "fp32", [SIZE], views=(2,), rays=True)
        return read_artifact(build(request, tmp_path_factory.mktemp("nested")))


def test_one_artifact_of_both_networks(built: Artifact) -> None:
    m = built.manifest
    assert m.gate.passed
    assert [step.as_json().get("do") or step.as_json().get("run") for step in m.steps][-6:] == [
        "head",
        "head_rays",
        "cameras_from_rays",
        "metric",
        "scale_to_metres",
        "resize_back",
    ]
    assert "56x84-b1-metric" in {program.name for program in m.programs}
    kinds = {output.name: (output.kind, output.becomes) for output in m.outputs}
    assert kinds["depth"] == ("relative_depth", "metres")
    assert kinds["metric_depth"] == ("focal_normalised", None)
    assert set(m.gate.limits["sky"]) == {"max_abs", "mean_abs"}
    assert reparity(built, None, [], lambda _: None, probe=True).problems == []


def test_a_wrong_metric_network_fails(built: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    load = torchscript.load

    def loaded(files: Sequence[Path], ports: Ports, precision: str) -> Run:
        run = load(files, ports, precision)

        def wrong(arrays: Arrays) -> dict[str, FloatArray]:
            return {name: a + np.float32(0.01) * (name == "sky") for name, a in run(arrays).items()}

        return wrong

    monkeypatch.setattr(torchscript, "load", loaded)
    problems = reparity(built, None, [], lambda _: None).problems
    assert problems
    assert all("sky max_abs" in problem for problem in problems)


def test_upstreams_files_of_two_networks_load() -> None:
    network = network_of(NESTED)
    load_weights(network, nested_state(), "a file")
    own = network.state_dict()
    assert own["any_view.encoder.camera_token"].equal(weights()["encoder.camera_token"])
    with pytest.raises(CheckpointError, match=r"expected model.da3.\* and model.da3_metric"):
        load_weights(network, to_upstream(weights()), "a file")
