from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depth.artifact.manifest import Artifact, Gate
from depth.artifact.probe import Answer, answers, differs, probe_inputs, sample
from depth.artifact.program import ProgramKey
from depth.artifact.verification import (
    VERIFIED_FILE,
    ProgramVerification,
    Verification,
    answers_of,
    read_verification,
    state,
    write_verification,
)
from depth.errors import ArtifactError
from tests.support.manifests import FOLDED_STEPS, made_manifest, written

KEY = ProgramKey(28, 42, 2)

NUMBERS = {"depth": {"max_rel": 0.01, "mean_rel": 0.001}}
ANSWERS = {"depth": Answer((0.5, 1.25), 1e-3)}
LIMITS = {"depth": {"max_rel": 0.1, "mean_rel": 0.01}}


@pytest.fixture
def built(tmp_path: Path) -> Artifact:
    """An artifact that says it has to be measured on a device."""
    return written(tmp_path / "a", made_manifest([KEY], gate=Gate(LIMITS, None)))


def measured(artifact: Artifact, passed: bool) -> Verification:
    programs = tuple(
        ProgramVerification(p.name, NUMBERS, ANSWERS) for p in artifact.manifest.programs
    )
    gate = Gate(LIMITS, passed)
    return Verification(artifact.identity, "2026-01-01T00:00:00Z", {"driver": "x"}, gate, programs)


def test_a_measurement_is_read_back_and_makes_the_artifact_verified(built: Artifact) -> None:
    assert state(built) == "built"
    found = measured(built, passed=True)
    write_verification(built, found)
    assert read_verification(built) == found
    assert state(built) == "verified"
    assert answers_of(built, built.manifest.programs[0].name) == ANSWERS
    assert answers_of(built, "another") == {}


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
    content["gate"]["passed"] = 1
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="gate.passed.*measure again"):
        read_verification(built)


def test_a_manifest_that_passed_needs_no_measurement(tmp_path: Path) -> None:
    made = written(tmp_path / "a", made_manifest([KEY]))
    (made.folder / VERIFIED_FILE).write_text("nonsense")
    assert state(made) == "verified"


@pytest.mark.parametrize(("folded", "low", "high"), [(False, -2, 2), (True, 0, 255)])
def test_the_probe_is_fixed_and_nowhere_constant(folded: bool, low: float, high: float) -> None:
    changes = {"steps": FOLDED_STEPS} if folded else {}
    manifest = made_manifest([KEY], **changes)
    (program,) = manifest.programs
    first, second = (probe_inputs(manifest, program)["images"] for _ in range(2))
    assert first.shape == (2, 3, 28, 42)
    assert first.dtype == np.float32
    assert np.array_equal(first, second)
    assert low <= first.min() < first.max() <= high
    assert first.std(axis=(2, 3)).min() > 0.02 * (high - low)
    assert float(first[1].mean()) > float(first[0].mean())


def test_differing_answers_are_described_in_figures() -> None:
    values = np.linspace(1, 5, 300, dtype=np.float32).reshape(3, 100)
    kept = answers({"depth": values})["depth"]
    assert len(kept.values) == 64
    assert differs(kept, values) is None
    assert differs(kept, values * np.float32(1 + 5e-4)) is None
    assert differs(kept, values * np.float32(1.01)) == (
        "off by 0.01 of the largest value (limit 0.001)"
    )
    assert differs(kept, values * np.nan) is not None
    assert differs(kept, values[:, :10]) == "30 values, expected 64"
    assert sample(values[:1, :1]) == (1.0,)
    zeros = np.zeros((2, 2), np.float32)
    assert differs(answers({"sky": zeros})["sky"], zeros) is None
    assert differs(answers({"sky": zeros})["sky"], zeros + 1) is not None
