"""Artifacts for the device targets through the stand-ins: from a checkpoint to a verified artifact.

With torch 1.13.1 the target is `inf1`, with a newer one `inf2`: that is what their SDKs take.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from compile.errors import CompilerError, PreflightError
from compile.targets.table import NEURON_PASSES, TARGETS, builder
from depth.artifact.manifest import MANIFEST, Artifact
from depth.artifact.program import Program, ProgramKey
from depth.artifact.steps import Do, Normalise
from depth.artifact.verification import state
from depth.chips import CHIPS
from tests.support.neuron_builds import (
    EASIER,
    PRECISION,
    SDK,
    TALL,
    TARGET,
    Made,
    device_fixture,
    made_fixture,
    neuronx_fixture,
    standin_fixture,
)
from tests.support.neuron_standin import IS_1_13, SMALL, Standin

pytestmark = pytest.mark.long  # processes and whole builds

__all__ = ["device_fixture", "made_fixture", "neuronx_fixture", "standin_fixture"]


def names(found: Sequence[Program]) -> list[str]:
    return [one.name for one in found]


@pytest.mark.long
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


@pytest.mark.long
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


def test_the_report_holds_preflight_and_the_compilers_log(made: Made) -> None:
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


@pytest.mark.long
def test_a_build_that_took_something_easier_says_so(made: Made, device: Standin) -> None:
    device.behave("error", "error")
    artifact = made()
    text = (artifact.folder / "report.md").read_text()
    name = EASIER[1]  # on Inf1 another precision
    assert f"- compiled: {name}\n" in text
    assert f"built with {name}, because the compiler died: as asked (crash), stages" in text
    assert "- failed before: as asked: the compiler ended with code" in text
    flags = [flag for flag in artifact.manifest.flags if flag.startswith("28x42")]
    assert flags == [f"28x42-b1-{stage}: {name}" for stage in ("encoder", "decoder")]
    programs = json.loads((artifact.folder / "report.json").read_text())["programs"]
    precision = "matmult-fp16-relayout" if IS_1_13 else PRECISION
    assert {program["record"]["precision"] for program in programs} == {precision}


@pytest.mark.long
def test_a_batch_that_does_not_compile_leaves_the_smaller_one_once(
    made: Made, device: Standin
) -> None:
    device.behave("ok", *["kill"] * (1 + len(EASIER)))
    artifact = made(batches=[1, 2])
    assert names(artifact.manifest.programs) == ["28x42-b1"]
    device.behave(*["kill"] * (1 + len(EASIER)))
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


def test_what_does_not_fit_is_refused_before_anything_is_compiled(
    made: Made, device: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = preflighted(made(sizes=[SMALL]))
    assert len(device.calls()) == 1
    chip = replace(CHIPS[TARGET], core_bytes=need)
    monkeypatch.setitem(CHIPS, TARGET, chip)
    # The first program fits, and no cache has it.
    settings = replace(device.settings, folder=tmp_path / "another cache")
    with pytest.raises(PreflightError) as refused:
        made(sizes=[SMALL], batches=[1, 2], settings=settings)
    text = str(refused.value)
    assert "28x42-b2: about 0.00 GB of device memory, a core has 0.00 GB" in text
    assert "28x42-b1" not in text
    assert "(by the same estimate this fits: batch 1" in text
    assert len(device.calls()) == 1


def preflighted(artifact: Artifact) -> int:
    """The device memory of the only program, as the report of the build has it."""
    data = json.loads((artifact.folder / "report.json").read_text())
    found = data["programs"][0]["preflight"]["footprint"]
    return int(found["weights_bytes"]) + int(found["activations_bytes"])
