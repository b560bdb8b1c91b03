"""Cores that run and compute wrong numbers: the answers to the probe tell, before any image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from depth.artifact.manifest import Artifact
from depth.artifact.program import ProgramKey
from depth.artifact.verification import VERIFIED_FILE
from depth.errors import ArtifactError
from serve.backend import open_on_core
from serve.engine import Engine
from serve.errors import Action, OutOfServiceError, ProgramError
from serve.library import Library
from serve.shapes import BUCKETS
from tests.support.engines import image_of
from tests.support.neuron_jobs import two_sizes_fixture
from tests.support.neuron_machine import machine_fixture
from tests.support.neuron_served import (
    LANE,
    SIZE,
    Chip,
    built,
    chip_fixture,
    served_fixture,
    verified,
)

__all__ = ["chip_fixture", "machine_fixture", "served_fixture", "two_sizes_fixture"]
KEY = ProgramKey(*SIZE, 1)
LAST = LANE.cores - 1


@pytest.fixture(name="known")
def known_fixture(chip: Chip, served: Artifact, tmp_path: Path) -> Artifact:
    known = verified(served, tmp_path / "known")
    chip.placed.clear()
    return known


def test_a_core_that_answers_as_before_is_taken(chip: Chip, known: Artifact) -> None:
    for core in range(LANE.cores):
        open_on_core(known, known.manifest.stages(KEY), core)
    assert chip.placed == [(core, 1) for core in range(LANE.cores)]


def test_a_core_with_other_numbers_is_to_be_replaced_and_figures_say_why(
    chip: Chip, known: Artifact
) -> None:
    chip.script("wrong_cores", LAST)
    says = f"core {LAST} computes wrong numbers: depth is off by 0.5 of the largest value"
    with pytest.raises(ProgramError, match=says) as got:
        open_on_core(known, known.manifest.stages(KEY), LAST)
    assert got.value.action is Action.REPLACE
    open_on_core(known, known.manifest.stages(KEY), 0)


@pytest.mark.parametrize("factor", [float("nan"), 1.002])
def test_small_differences_and_numbers_that_are_none_count_too(
    chip: Chip, known: Artifact, factor: float
) -> None:
    chip.script("wrong_cores", f"0 {factor}")
    with pytest.raises(ProgramError, match="computes wrong numbers") as got:
        open_on_core(known, known.manifest.stages(KEY), 0)
    assert got.value.action is Action.REPLACE


def test_each_output_of_each_stage_is_compared(chip: Chip, tmp_path: Path) -> None:
    apart = verified(built(tmp_path / "apart", split=True), tmp_path / "known")
    sky = verified(built(tmp_path / "sky", sky=True), tmp_path / "known sky")
    chip.instead(lambda x: x + 1 if x.ndim == 3 and x.min() >= 0 and x.max() <= 1 else x)
    with pytest.raises(ProgramError, match="wrong numbers: sky is off by"):
        open_on_core(sky, sky.manifest.stages(KEY), 0)
    open_on_core(apart, apart.manifest.stages(KEY), 0)
    chip.instead(lambda x: x * 2 if x.shape[-1] == 4 else x)
    with pytest.raises(ProgramError, match="b1-encoder: .*wrong numbers: features is off by"):
        open_on_core(apart, apart.manifest.stages(KEY), 0)


def test_a_measurement_of_some_programs_is_none_of_the_artifact(
    chip: Chip, two_sizes: Artifact, tmp_path: Path
) -> None:
    known = verified(two_sizes, tmp_path / "known")
    assert chip.placed
    assert len(Library([known]).sizes) == 2
    path = known.folder / VERIFIED_FILE
    content = json.loads(path.read_text())
    del content["programs"][0]
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="measures the programs .*; measure again"):
        Library([known])


def test_a_core_that_computes_wrong_is_taken_out_and_the_others_serve(
    chip: Chip, known: Artifact
) -> None:
    chip.script("wrong_cores", LAST)
    with Engine(Library([known]), BUCKETS) as engine:
        assert engine.make_ready([SIZE])
        scheduler = engine._cores._opened.scheduler
        assert scheduler.snapshot().cores_in_service == LANE.cores - 1
        assert [core.index for core in scheduler._cores if not core.in_service] == [LAST]
        many = [image_of(engine, SIZE, seed) for seed in range(6)]
        found = [engine.finish(engine.run(one)).depth.values for one in many]
    assert all(np.isfinite(values).all() for values in found)
    assert len({values.tobytes() for values in found}) == 6


def test_where_every_core_computes_wrong_nothing_is_served(chip: Chip, known: Artifact) -> None:
    chip.instead(lambda depth: depth * 1.5)
    says = pytest.raises(OutOfServiceError, match="computes wrong numbers: depth is off by")
    with Engine(Library([known]), BUCKETS) as engine, says:
        engine.make_ready([SIZE])


def test_a_batch_without_answers_is_warmed_up_without_them(
    chip: Chip, known: Artifact, served: Artifact
) -> None:
    chip.script("wrong_cores", 0)
    open_on_core(served, served.manifest.stages(KEY), 0)  # never verified: nothing to compare with
    (known.folder / VERIFIED_FILE).write_text("nonsense")
    with pytest.raises(ArtifactError, match="measure again on the device"):
        open_on_core(known, known.manifest.stages(KEY), 0)
