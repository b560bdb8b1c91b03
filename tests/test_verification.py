from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from depth.artifact.manifest import Artifact, ParityLimit, ParityNumbers
from depth.artifact.verification import (
    VERIFIED_FILE,
    ProgramVerification,
    Verification,
    read_verification,
    state,
    write_verification,
)
from depth.errors import ArtifactError
from serve.library import Library
from tests.programs import SIZES, make_artifact

NUMBERS = ParityNumbers(0.01, 0.001, 0.001, 1.0, None)


@pytest.fixture
def built(tmp_path: Path) -> Artifact:
    """An artifact that says it has to be measured on a device."""
    made = make_artifact(tmp_path)
    limit = ParityLimit(0.1, 0.01, passed=None)
    return replace(made, manifest=replace(made.manifest, parity_limit=limit))


def measured(artifact: Artifact, passed: bool) -> Verification:
    programs = tuple(ProgramVerification(p.name, NUMBERS) for p in artifact.manifest.programs)
    limit = ParityLimit(0.1, 0.01, passed)
    return Verification(artifact.identity, "2026-01-01T00:00:00Z", {"driver": "x"}, limit, programs)


def test_a_measurement_is_read_back_and_makes_the_artifact_verified(built: Artifact) -> None:
    assert state(built) == "built"
    found = measured(built, passed=True)
    write_verification(built, found)
    assert read_verification(built) == found
    assert state(built) == "verified"
    assert Library([built]).sizes == list(SIZES)


def test_a_measurement_over_the_limit_makes_it_failed(built: Artifact) -> None:
    write_verification(built, measured(built, passed=False))
    assert state(built) == "failed"


def test_a_measurement_of_another_artifact_is_refused(built: Artifact) -> None:
    write_verification(built, replace(measured(built, passed=True), identity="0" * 64))
    with pytest.raises(ArtifactError, match="belongs to artifact 000000000000"):
        state(built)


def test_a_damaged_measurement_is_refused(built: Artifact) -> None:
    path = write_verification(built, measured(built, passed=True))
    content = json.loads(path.read_text())
    content["parity_limit"]["passed"] = 1
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="parity_limit.passed.*measure again"):
        read_verification(built)


def test_a_manifest_that_passed_needs_no_measurement(tmp_path: Path) -> None:
    made = make_artifact(tmp_path)
    (made.folder / VERIFIED_FILE).write_text("nonsense")
    assert state(made) == "verified"
