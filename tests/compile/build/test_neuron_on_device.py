"""Artifacts for the device targets are measured on the device, and only then served."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from compile.errors import ParityError
from compile.parity import again
from compile.targets import host
from compile.targets.table import TARGETS, default_precision
from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.verification import answers_of, read_verification, state
from depth.maps.result import FloatArray
from serve.__main__ import main as serve
from serve.errors import RefusedError
from serve.library import Library
from tests.support.commands import Ended
from tests.support.jobs import command
from tests.support.neuron_builds import (
    PRECISION,
    SDK,
    TARGET,
    device_fixture,
    made_fixture,
    neuronx_fixture,
    standin_fixture,
)
from tests.support.neuron_standin import SMALL, Standin

pytestmark = pytest.mark.long  # processes and whole builds

__all__ = ["device_fixture", "made_fixture", "neuronx_fixture", "standin_fixture"]


@pytest.fixture(name="built")
def built_fixture(
    device: Standin, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    """Built once, and a copy for each test."""
    made = tmp_path_factory.getbasetemp() / "built for a device"
    if not made.exists():
        ended = command(*BUILD, "--precision", PRECISION, "--out", tmp_path / "out")
        assert (ended.code, ended.out.count("\n")) == (0, 1), ended.err
        assert len(device.calls()) == 1
        Path(ended.out.strip()).rename(made)
    return read_artifact(shutil.copytree(made, tmp_path / "built"))


BUILD = ("build", "--model", "demo", "--target", TARGET, "--size", "28x42", "--images", "none")


def on_device(artifact: Artifact) -> Ended:
    return command("parity", artifact.folder, "--images", "none", "--on-device")


def test_parity_on_the_device_makes_it_verified(built: Artifact, device: Standin) -> None:
    device.plug_in()
    ended = on_device(built)
    assert ended.code == 0
    *lines, verdict = ended.out.splitlines()
    assert (
        verdict
        == "passed: every program is within the limit (depth max_rel 0.1, depth mean_rel 0.01)"
    )
    rows = [row.split()[:2] for row in lines]
    assert rows == [["28x42-b1", name] for name in ("constant", "noise", "thin", "scene")]
    assert state(built) == "verified"
    found = read_verification(built)
    assert found is not None
    assert (found.identity, found.gate.passed) == (built.identity, True)
    assert found.programs[0].name == "28x42-b1"
    assert 0 < float(found.programs[0].measured["depth"]["max_rel"] or 0) < 0.1
    answers = answers_of(built, "28x42-b1")
    assert len(answers["depth"].values) == 64
    assert len(set(answers["depth"].values)) > 8
    assert set(found.versions) >= SDK
    assert read_artifact(built.folder).identity == built.identity
    text = (built.folder / "report.md").read_text()
    assert "## Measured on the device\n\npassed, " in text
    assert Library([built]).sizes == [SMALL]


def test_encoder_and_decoder_are_measured_together(device: Standin, tmp_path: Path) -> None:
    ended = command(*BUILD, "--split", "--precision", PRECISION, "--out", tmp_path / "out")
    artifact = read_artifact(Path(ended.out.strip()))
    device.plug_in()
    assert on_device(artifact).code == 0
    found = read_verification(artifact)
    assert found is not None
    assert [one.name for one in found.programs] == ["28x42-b1-encoder", "28x42-b1-decoder"]
    assert found.programs[0].measured == found.programs[1].measured
    encoder, decoder = (one.answers for one in found.programs)
    assert (set(encoder), set(decoder)) == ({"features"}, {"depth"})


def test_wrong_numbers_on_the_device_make_it_failed(built: Artifact, device: Standin) -> None:
    device.plug_in("wrong")
    ended = on_device(built)
    assert ended.code == 1
    assert "28x42-b1: the program is too far from the eager network: depth max_rel" in ended.err
    assert state(built) == "failed"
    assert "## Measured on the device\n\nFAILED, " in (built.folder / "report.md").read_text()
    with pytest.raises(RefusedError, match="failed its parity gate"):
        Library([built], allow_unverified=True)
    device.plug_in()  # repaired: a later measurement counts
    assert on_device(built).code == 0
    assert state(built) == "verified"


def test_numbers_that_are_not_finite_replace_an_earlier_pass(
    built: Artifact, device: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the test images, and then for the probe alone."""
    device.plug_in()
    assert on_device(built).code == 0

    def not_finite(*_: object) -> None:
        raise ParityError("the program gives depth that is not finite")

    def nan(*_: object) -> dict[str, FloatArray]:
        return {"images": np.full((1, 3, *SMALL), np.nan, np.float32)}

    for counter, (name, broken) in enumerate({"measure": not_finite, "probe_inputs": nan}.items()):
        with monkeypatch.context() as patched:
            patched.setattr(again, name, broken)
            ended = on_device(built)
        assert ended.code == 1
        assert "not finite" in ended.err
        found = read_verification(built)
        assert found is not None
        assert (found.counter, found.gate.passed) == (counter + 2, False)
        assert state(built) == "failed"


@pytest.mark.parametrize("name", ["report.json", "report.md"])
def test_a_measurement_that_could_not_be_kept_is_not_begun(
    built: Artifact, device: Standin, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    device.plug_in()
    monkeypatch.setattr(again, "measure", None)
    (built.folder / name).unlink()
    os.mkfifo(built.folder / name)
    ended = on_device(built)
    assert ended.code == 1
    assert f"{name}: cannot be read: not a regular file; pull the artifact again" in ended.line()
    assert state(built) == "built"


def test_without_a_device_nothing_is_measured(built: Artifact) -> None:
    ended = on_device(built)
    assert ended.code == 1
    assert "no Neuron device here" in ended.error()
    ended = command("parity", built.folder, "--images", "none")
    assert ended.code == 2
    assert f"programs of {TARGET} load on their device only" in ended.error()
    assert "--on-device" in ended.error()
    assert state(built) == "built"


def test_serving_refuses_what_was_never_measured(
    built: Artifact, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["serve", "folder", str(built.folder)])
    with pytest.raises(SystemExit) as ended:
        serve()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "its numbers were never measured on the device" in said
    assert "--on-device" in said
    assert "--allow-unverified" in said
    assert Library([built], allow_unverified=True).sizes == [SMALL]


@pytest.mark.usefixtures("device")
def test_a_machine_without_the_compiler_fails_before_weights_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host, "version", lambda package: None)  # noqa: ARG005
    ended = command(*BUILD, "--checkpoint", "no-such-file", "--out", tmp_path / "out")
    assert ended.code == 1
    assert f"this machine cannot compile for {TARGET}" in ended.error()
    assert default_precision(TARGET) in TARGETS[TARGET].limits
