"""Whole commands on a chip that fails: a core with wrong numbers, and a process that is broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from depth.artifact.manifest import Artifact
from serve.errors import RESTART
from tests.support.neuron_jobs import LYING, two_sizes_fixture, write_images
from tests.support.neuron_machine import Machine, machine_fixture
from tests.support.neuron_served import LANE, Chip, chip_fixture, verified
from tests.support.places import ROOT, STANDINS

__all__ = ["chip_fixture", "machine_fixture", "two_sizes_fixture"]
pytestmark = pytest.mark.long
COUNT = 8
LAST = LANE.cores - 1


@pytest.fixture(name="known")
def known_fixture(chip: Chip, two_sizes: Artifact, tmp_path: Path) -> Artifact:
    known = verified(two_sizes, tmp_path / "known")
    (chip.control / "events").unlink()
    return known


def folder_job(known: Artifact, folder: Path, machine: Machine) -> subprocess.CompletedProcess[str]:
    """`python -m serve folder` in a process of its own, on the chip of this test."""
    places = ("--input", folder / "in", "--output", folder / "out")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{STANDINS}",
        "PATH": f"{machine.folder / 'tools'}:/usr/bin:/bin",
        "OMP_NUM_THREADS": "1",
    }
    words = ("-m", "serve", "folder", known.folder, *places)
    command = [sys.executable, *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def done(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "out").glob("*.png")}


def test_a_core_that_computes_wrong_numbers_is_left_out_and_the_others_do_the_job(
    chip: Chip, known: Artifact, machine: Machine, tmp_path: Path
) -> None:
    chip.script("wrong_cores", LAST)
    write_images(tmp_path, COUNT, LYING)
    ended = folder_job(known, tmp_path, machine)
    assert ended.returncode == 0, ended.stderr
    assert len(done(tmp_path)) == COUNT
    (line,) = [line for line in ended.stderr.splitlines() if "out of service" in line]
    assert f"core {LAST}: out of service: known 28x42-b1: core {LAST} computes wrong" in line
    assert "depth is off by 0.5 of the largest value" in line
    assert "replace the instance if verifying again fails here" in line
    assert chip.runs.count(LAST) == 1  # the probe


def test_a_process_whose_runs_all_fail_ends_with_its_own_code_and_a_new_one_does_the_rest(
    chip: Chip, known: Artifact, machine: Machine, tmp_path: Path
) -> None:
    # The loads take the first runs; then one failure spreads to the whole process.
    chip.script("faults", "run * 8 status=5 message=Timeout Exceeded | TDRV:model_start a cause")
    chip.script("spreads")
    write_images(tmp_path, COUNT, LYING)
    ended = folder_job(known, tmp_path, machine)
    assert ended.returncode == RESTART == 75, ended.stderr
    assert "times again: " in ended.stderr
    assert "restart the process" in ended.stderr
    assert "ERROR TDRV:model_start a cause" in ended.stderr
    assert "run the same command again for the rest" in ended.stderr
    before = done(tmp_path)
    assert 0 < len(before) < COUNT
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".depth-")]
    (chip.control / "faults").unlink()
    ended = folder_job(known, tmp_path, machine)
    assert ended.returncode == 0, ended.stderr
    assert len(done(tmp_path)) == COUNT


def test_a_process_that_fails_before_the_first_image_ends_with_that_code_too(
    chip: Chip, known: Artifact, machine: Machine, tmp_path: Path
) -> None:
    chip.script("faults", "run * 1+ status=5 message=Timeout Exceeded")
    write_images(tmp_path, COUNT, LYING)
    ended = folder_job(known, tmp_path, machine)
    assert ended.returncode == RESTART, ended.stderr
    assert "restart the process" in ended.stderr.splitlines()[-1]
    assert done(tmp_path) == set()
