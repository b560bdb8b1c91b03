"""Artifacts for the device targets through the stand-ins: from a checkpoint to a verified artifact.

With torch 1.13.1 the target is `inf1`, with a newer one `inf2`: that is what their SDKs take.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compile.build import programs
from compile.build.build import build
from compile.build.request import Request
from compile.errors import CompilerError, PreflightError
from compile.neuron import program
from compile.preflight import check
from compile.preflight.costs import Costs
from compile.targets import host
from compile.targets.table import NEURON_PASSES, TARGETS, builder, default_precision
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import MANIFEST, Artifact, read_artifact
from depth.artifact.program import Program, ProgramKey
from depth.artifact.steps import Do, Normalise
from depth.artifact.verification import answers_of, read_verification, state
from depth.network.base import Network
from depth_anything_v2.config import model_row
from serve.cli import main as serve
from serve.errors import RefusedError
from serve.library import Library
from tests.support.jobs import Ended, command
from tests.support.networks import TINY
from tests.support.neuron_standin import IS_1_13, SMALL, Standin, standin_fixture
from tests.support.neuronx_standin import neuronx_fixture

__all__ = ["neuronx_fixture", "standin_fixture"]
TARGET = "inf1" if IS_1_13 else "inf2"
SDK = {"inf1": {"torch-neuron", "neuron-cc"}, "inf2": {"torch-neuronx", "neuronx-cc"}}[TARGET]
TALL = (42, 28)
TINY_MODEL = model_row("tiny", TINY)
PRECISION = "matmult-fp16"  # both have it
EASIER = len(builder(TARGETS[TARGET]).fewer)  # type: ignore[attr-defined]


@pytest.fixture(name="device")
def device_fixture(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Standin:
    made: Standin = request.getfixturevalue("standin" if IS_1_13 else "neuronx")
    monkeypatch.setenv("HOME", str(made.settings.folder))  # where the command keeps its files
    # It counts the work of every pass again for every program, and takes most of the time.
    monkeypatch.setattr(check, "costs", lambda network, passes: Costs(1, ()))  # noqa: ARG005
    remember(monkeypatch)
    return made


_REMEMBERED: dict[tuple[Any, ...], Any] = {}


def remember(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower, judge and trace each network once for all tests here: a model has the same weights."""

    def once(place: Any, name: str, key: Callable[..., tuple[Any, ...]]) -> None:
        function = getattr(place, name)

        def remembered(*arguments: Any) -> Any:
            asked = (name, *key(*arguments))
            if asked not in _REMEMBERED:  # with the arguments, so that no other gets their id
                _REMEMBERED[asked] = function(*arguments), arguments
            return _REMEMBERED[asked][0]

        monkeypatch.setattr(place, name, remembered)

    once(programs, "lower", lambda network, passes: (*network_key(network), passes))
    once(
        programs,
        "preflight",
        lambda network, example, _target, passes, *_: (*network_key(network), len(example), passes),
    )
    once(program, "trace", lambda module, examples: (id(module), *(e.shape for e in examples)))


def network_key(network: Network) -> tuple[Any, ...]:
    return network.model.name, network.fixed_size


@pytest.fixture(name="made")
def made_fixture(device: Standin, tmp_path: Path) -> Callable[..., Artifact]:
    """Builds an artifact; arguments are fields of the request."""

    def made(**changes: Any) -> Artifact:
        request = Request(
            TINY_MODEL,
            untrained_checkpoint(TINY_MODEL),
            TARGET,
            PRECISION,
            [SMALL],
            settings=device.settings,
        )
        return read_artifact(build(replace(request, **changes), tmp_path / "out"))

    return made


Made = Callable[..., Artifact]


def names(found: Sequence[Program]) -> list[str]:
    return [one.name for one in found]


def test_sizes_and_batches_in_one_artifact_that_is_not_measured_yet(
    made: Made, device: Standin
) -> None:
    artifact = made(sizes=[SMALL, TALL], batches=[1, 2])
    m = artifact.manifest
    assert names(m.programs) == ["28x42-b1", "28x42-b2", "42x28-b1", "42x28-b2"]
    assert len(device.calls()) == 4
    assert [one.measured for one in m.programs] == [None] * 4
    assert m.gate.passed is None
    assert state(artifact) == "built"
    assert not any(isinstance(step, Do) and isinstance(step.step, Normalise) for step in m.steps)
    assert m.flags[: len(flags())] == flags()
    assert set(m.versions) >= SDK
    check_the_folder(artifact)


def check_the_folder(artifact: Artifact) -> None:
    """Nothing but what the manifest names, and the reports."""
    named = {file.path for one in artifact.manifest.programs for file in one.files}
    files = (path for path in artifact.folder.rglob("*") if path.is_file())
    found = {path.relative_to(artifact.folder).as_posix() for path in files}
    assert found == {*named, MANIFEST, "report.json", "report.md"}


def test_encoder_and_decoder_of_each_size_and_batch(made: Made) -> None:
    artifact = made(sizes=[SMALL, TALL], batches=[2], split=True)
    m = artifact.manifest
    assert names(m.programs) == [
        "28x42-b2-encoder",
        "28x42-b2-decoder",
        "42x28-b2-encoder",
        "42x28-b2-decoder",
    ]
    assert names(m.stages(ProgramKey(*TALL, 2))) == ["42x28-b2-encoder", "42x28-b2-decoder"]
    check_the_folder(artifact)


def flags() -> tuple[str, ...]:
    return builder(TARGETS[TARGET]).flags(PRECISION)


def test_the_report_tells_what_preflight_and_compiler_said(made: Made) -> None:
    artifact = made()
    text = (artifact.folder / "report.md").read_text()
    assert "not measured, the program runs on its device only" in text
    assert "## 28x42-b1: built in" in text
    assert f"- compiler arguments: `{'--fast-math' if IS_1_13 else '--target inf2'}" in text
    assert "- compiled: as asked" in text
    assert "on chip" in text
    assert "sub-graph" in text if IS_1_13 else "the compiler's log states no share" in text
    (report,) = json.loads((artifact.folder / "report.json").read_text())["programs"]
    assert report["record"]["target"] == report["preflight"]["target"] == TARGET
    assert report["probes"] == []


def test_the_same_request_gives_the_same_artifact(
    made: Made, device: Standin, tmp_path: Path
) -> None:
    first = made()
    first.folder.rename(tmp_path / "kept")
    again = made()
    assert again.identity == first.identity
    assert len(device.calls()) == 1
    assert "taken from the compile cache" in (again.folder / "report.md").read_text()


def test_a_preflight_failure_stops_the_build_before_the_compiler_runs(
    made: Made, device: Standin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    passes = tuple(name for name in NEURON_PASSES if name != "resize")
    monkeypatch.setitem(TARGETS, TARGET, replace(TARGETS[TARGET], passes=passes))
    with pytest.raises(PreflightError, match="28x42-b1: 5 operators would not run on the chip: at"):
        made()
    assert device.calls() == []
    assert list((tmp_path / "out").iterdir()) == []


def test_a_build_with_fewer_optimisations_says_so(made: Made, device: Standin) -> None:
    device.behave("error")
    artifact = made()
    text = (artifact.folder / "report.md").read_text()
    assert "- compiled: fewer optimisations (" in text
    assert "because the compiler died: as asked (crash)" in text
    assert "- failed before: as asked: the compiler ended with code" in text
    (told,) = (flag for flag in artifact.manifest.flags if flag.startswith("28x42"))
    assert told.startswith("28x42-b1: fewer optimisations (")


def test_a_batch_that_does_not_compile_leaves_the_smaller_one_once(
    made: Made, device: Standin
) -> None:
    device.behave("ok", *["kill"] * (1 + EASIER + 1))  # as asked, easier, and the encoder alone
    artifact = made(batches=[1, 2])
    assert names(artifact.manifest.programs) == ["28x42-b1"]
    device.behave(*["kill"] * (1 + EASIER + 1))
    artifact = made(sizes=[TALL], batches=[2])
    assert names(artifact.manifest.programs) == ["42x28-b1"]
    check_the_folder(artifact)
    assert "- compiled: batch 1" in (artifact.folder / "report.md").read_text()


def test_a_compiler_that_always_dies_leaves_nothing(
    made: Made, device: Standin, tmp_path: Path
) -> None:
    device.behave(*["abort"] * 9)
    with pytest.raises(CompilerError, match="the compiler died on every attempt"):
        made()
    assert list((tmp_path / "out").iterdir()) == []


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
    rows = [row.split()[:2] for row in ended.out.splitlines()]
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


def test_without_a_device_nothing_is_measured(built: Artifact) -> None:
    ended = on_device(built)
    assert ended.code == 1
    assert "no Neuron device here" in ended.error()
    ended = command("parity", built.folder, "--images", "none")
    assert ended.code == 2
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
def test_a_machine_without_the_compiler_is_told_before_weights_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host, "version", lambda package: None)  # noqa: ARG005
    ended = command(*BUILD, "--checkpoint", "no-such-file", "--out", tmp_path / "out")
    assert ended.code == 1
    assert f"this machine cannot compile for {TARGET}" in ended.error()
    assert default_precision(TARGET) in TARGETS[TARGET].limits
