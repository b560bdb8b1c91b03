from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

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
    dump_verification,
    next_counter,
    outranks,
    read_verification,
    state,
    write_verification,
)
from depth.errors import ArtifactError
from tests.support.manifests import FOLDED_STEPS, made_manifest, written

KEY = ProgramKey(28, 42, 2)

NUMBERS = {"depth": {"max_rel": 0.01, "mean_rel": 0.001}}
ANSWERS = {"depth": Answer((0.5, 1.25) * 32, 1e-3)}
LIMITS = {"depth": {"max_rel": 0.1, "mean_rel": 0.01}}


@pytest.fixture
def built(tmp_path: Path) -> Artifact:
    """An artifact that says it has to be measured on a device."""
    return written(tmp_path / "a", made_manifest([KEY], gate=Gate(LIMITS, None)))


def measured(artifact: Artifact, passed: bool, counter: int = 1) -> Verification:
    numbers = NUMBERS if passed else {"depth": {**NUMBERS["depth"], "max_rel": 0.2}}
    programs = tuple(
        ProgramVerification(p.name, numbers, ANSWERS) for p in artifact.manifest.programs
    )
    made, gate = "2026-01-01T00:00:00+00:00", Gate(LIMITS, passed)
    return Verification(artifact.identity, counter, made, {"driver": "x"}, gate, programs)


def refusal(artifact: Artifact, change: Callable[[Any], None], passed: bool = True) -> str:
    """Why a measurement is refused whose JSON was changed."""
    path = write_verification(artifact, measured(artifact, passed))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(
        ArtifactError, match="verified.json: .*; measure again on the device"
    ) as got:
        state(artifact)
    return str(got.value)


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


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda v: v.update(identity="0" * 64), "belongs to artifact 000000000000"),
        (lambda v: v["gate"].update(passed=1), "gate.passed is 1"),
        (lambda v: v.pop("counter"), "missing field counter"),
        (lambda v: v.update(counter=0), "counter is 0, expected 1 or more"),
        (lambda v: v.update(programs=[]), r"measures the programs [], the artifact has"),
        (lambda v: v["programs"][0].update(name="other"), "measures the programs ['other']"),
        (lambda v: v["programs"].append(v["programs"][0]), "measures the programs"),
        (lambda v: numbers(v).update(max_rel=0.11), "max_rel is 0.11 (limit 0.1)"),
        (lambda v: numbers(v).update(max_rel=None), "max_rel is None (limit 0.1)"),
        (lambda v: numbers(v).update(max_rel=-1.0), "max_rel is -1.0 (limit 0.1)"),
        (lambda v: numbers(v).pop("mean_rel"), "mean_rel is None (limit 0.01)"),
        (lambda v: v["programs"][0].update(measured={}), "max_rel is None (limit 0.1)"),
        (lambda v: v["gate"]["limits"]["depth"].update(max_rel=1e9), "has the limits"),
        (lambda v: v["gate"].update(limits={}), "has the limits {}"),
        (lambda v: v["gate"].update(passed=False), "every figure is within its limit"),
        (lambda v: v["gate"].update(passed=None), "passed is None, though every figure"),
        (lambda v: v["programs"][0].update(answers={}), "has answers of [], expected ['depth']"),
        (lambda v: answered(v).update(values=[0.5]), "1 answers of depth, expected 64"),
        (lambda v: answered(v).update(limit=1e9), "have the limit 1e+09, expected at most 0.001"),
    ],
)
def test_a_measurement_that_proves_nothing_is_refused(
    built: Artifact, change: Callable[[Any], None], text: str
) -> None:
    assert text in refusal(built, change)


def numbers(content: Any) -> Any:
    return content["programs"][0]["measured"]["depth"]


def answered(content: Any) -> Any:
    return content["programs"][0]["answers"]["depth"]


@pytest.mark.parametrize(
    "made",
    [
        "zzzz",
        "",
        "2026-01-01",
        "2026-13-01T00:00:00+00:00",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+02:00",
        "2026-01-01 00:00:00+00:00",
    ],
)
def test_a_measurement_without_a_time_in_utc_is_refused(built: Artifact, made: str) -> None:
    assert f"field made is {made!r}" in refusal(built, lambda v: v.update(made=made))


def test_a_failed_measurement_that_says_passed_is_refused(built: Artifact) -> None:
    text = refusal(built, lambda v: v["gate"].update(passed=True), passed=False)
    assert "gate.passed is True, though 28x42-b2: depth max_rel is 0.2 (limit 0.1)" in text


def test_nothing_passes_a_manifest_without_limits(tmp_path: Path) -> None:
    made = written(tmp_path / "a", made_manifest([KEY], gate=Gate({}, None)))
    nothing = replace(measured(made, passed=True), gate=Gate({}, True))
    says = "gate.passed is True, though depth has no limit"
    with pytest.raises(ArtifactError, match=f"not written: .*{says}"):
        write_verification(made, nothing)
    (made.folder / VERIFIED_FILE).write_text(dump_verification(nothing))
    with pytest.raises(ArtifactError, match=says):
        state(made)


def test_every_batch_size_is_measured_or_nothing_counts(tmp_path: Path) -> None:
    keys = [ProgramKey(28, 42, batch) for batch in (1, 2, 4)]
    made = written(tmp_path / "a", made_manifest(keys, gate=Gate(LIMITS, None)))
    whole = measured(made, passed=True)
    for left_out in range(3):
        programs = tuple(p for i, p in enumerate(whole.programs) if i != left_out)
        part = replace(whole, programs=programs)
        with pytest.raises(ArtifactError, match="not written: measures the programs .*28x42-b2"):
            write_verification(made, part)
        (made.folder / VERIFIED_FILE).write_text(dump_verification(part))
        with pytest.raises(ArtifactError, match="measures the programs"):
            read_verification(made)
    write_verification(made, whole)
    assert state(made) == "verified"


def test_the_counter_goes_up_whatever_the_clock_says(built: Artifact) -> None:
    assert next_counter(built) == 1
    path = write_verification(built, measured(built, passed=True, counter=4))
    assert next_counter(built) == 5
    path.write_text("damaged")
    assert next_counter(built) == 1


@pytest.mark.parametrize(
    ("one", "other", "wins"),
    [
        ((True, 2), (False, 1), True),
        ((True, 1), (False, 1), False),
        ((True, 1), (False, 2), False),
        ((False, 1), (True, 1), True),
        ((False, 1), (True, 2), False),
        ((True, 1), (True, 1), False),
        ((False, 1), (False, 1), False),
    ],
)
def test_the_higher_counter_counts_and_of_equal_ones_the_failure(
    built: Artifact, one: tuple[bool, int], other: tuple[bool, int], wins: bool
) -> None:
    later = replace(measured(built, *one), made="2099-01-01T00:00:00+00:00")
    assert outranks(later, measured(built, *other)) is wins
    assert outranks(measured(built, *one), None)


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
