"""Chips and SDK versions: one table, which the compile host and the doctor judge by alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from compile.errors import HostError
from compile.targets.host import check_host
from compile.targets.modes import modes_of
from compile.targets.table import TARGETS
from depth.chips import (
    CHIPS,
    INF1,
    INF2,
    INSTANCES,
    NEVER,
    SDKS,
    Requirement,
    instance_named,
    mismatch,
    outside,
    parsed,
    target_of,
)
from depth.errors import InputError
from serve.doctor.packages import RULES
from tests.support.neuron_standin import GOOD_INF1, pretend_installed
from tests.support.places import ROOT

ROWS = [row for sdk in SDKS.values() for row in sdk.requirements]


def test_targets_chips_and_sdks_go_together() -> None:
    devices = {target.name for target in TARGETS.values() if target.device}
    assert devices == set(CHIPS) == set(SDKS)
    assert {row.chip for row in INSTANCES.values()} == set(CHIPS.values())
    assert [CHIPS[name].chip_bytes for name in (INF1, INF2)] == [8 * 10**9, 32 * 10**9]
    assert all(modes_of(target) for target in devices)


@pytest.mark.parametrize(
    ("instance", "target"),
    [("inf1.xlarge", INF1), ("Inf1.24xlarge", INF1), ("inf2.8xlarge", INF2), ("trn1.2xlarge", INF2),
     ("trn1n.32xlarge", INF2), ("m5.large", None), ("", None)],
)  # fmt: skip
def test_target_of_instance(instance: str, target: str) -> None:
    assert target_of(instance) == target


def test_an_unknown_instance_is_refused() -> None:
    assert instance_named("inf1.6xlarge").cores == 16
    with pytest.raises(InputError, match=r"no instance 'p5'; choose from inf1\.xlarge"):
        instance_named("p5")


@pytest.mark.parametrize(
    ("version", "low", "high", "found"),
    [
        ("1.13.1", "1.13.1", "1.13.2", False),
        ("1.13.1+cu117", "1.13.1", "1.13.2", False),
        ("1.13.0", "1.13.1", "", True),
        ("2.10.0", "2.5", "2.10", True),
        ("2.9.1", "2.5", "2.10", False),
        ("1.15.5.post1", "1.15", "1.16", False),
        ("70.0", "", "70", True),
        ("69.5.1", "", "70", False),
        ("2.21.37.0-9b5179492", "2.21", "2.25", False),  # a system package's
        ("nonsense", "1", "", True),
        ("1.0", "", "", False),
        ("0.1", "", NEVER, True),
    ],
)
def test_a_version_is_in_its_range_or_not(version: str, low: str, high: str, found: bool) -> None:
    assert outside(version, low, high) == found


def test_versions_are_compared_as_numbers() -> None:
    assert parsed("2.10") > parsed("2.9.1")
    assert parsed("2.24.13.0-9b5179492") == parsed("2.24.13.0")


@pytest.mark.parametrize(
    ("library", "package", "release"),
    [("2.8.0+cpu", "2.7.0.2.10.1", "2.7"), ("2.7.1", "2.7.0.2.10.1", None), (None, "2.7.0", None),
     ("2.7.1", None, None)],
)  # fmt: skip
def test_mismatch_names_the_wanted_release(library: str, package: str, release: str) -> None:
    assert mismatch(SDKS[INF2], library, package) == release
    assert mismatch(SDKS[INF1], library, package) is None


def test_the_doctor_and_the_compile_host_use_the_same_rows() -> None:
    assert [row for row in ROWS if row not in RULES] == []


@pytest.mark.parametrize("row", SDKS[INF1].requirements, ids=lambda row: row.package)
def test_the_compile_host_judges_by_every_row(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    row: Requirement,
) -> None:
    wrong = row.high if row.high != NEVER else "1.0"
    pretend_installed(monkeypatch, tmp_path, {**GOOD_INF1, row.package: wrong})
    if row.breaks:
        with pytest.raises(HostError, match=f"{row.package} is {wrong}, needed is "):
            check_host(INF1)
    else:
        check_host(INF1)
        assert f"{row.package} is {wrong}, needed is {row.needed}" in caplog.text


def test_our_own_lane_for_inf1_is_in_every_range() -> None:
    lines = (ROOT / "infra/locks/inf1.txt").read_text(encoding="utf-8").splitlines()
    locked = dict(line.split(" ")[0].split("==") for line in lines if "==" in line)
    judged = [row for row in SDKS[INF1].requirements if row.package in locked]
    assert {"torch", "torchvision", "numpy", "protobuf", "setuptools"} <= {
        r.package for r in judged
    }
    assert [row for row in judged if row.refuses(locked[row.package])] == []
