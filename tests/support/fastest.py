"""Precision auto on a CPU and with latencies of the test's choice."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from compile.build.fastest import build as fastest_build
from compile.build.fastest import candidates, record
from compile.build.fastest.measure import in_turns
from compile.job import fastest as job_fastest
from compile.targets import openvino
from depth.cpu import Cpu

NEW_CPU = Cpu("of tomorrow", 2, ("avx2", "avx512f", "avx512_vnni", "avx512_bf16"))
OLD_CPU = Cpu("old", 2, ("avx2",))
TIMES = {"fp32": 100.0, "bf16": 50.0, "int8-bf16": 40.0}


def given_cpu(patch: pytest.MonkeyPatch, cpu: Cpu) -> None:
    for module in (candidates, record, job_fastest):
        patch.setattr(module, "read_cpu", lambda: cpu)
    has_bf16 = "avx512_bf16" in cpu.features
    patch.setattr(openvino, "runs_natively", lambda name: has_bf16 or "bf16" not in name)


def given_times(patch: pytest.MonkeyPatch, times: Mapping[str, float]) -> list[list[str]]:
    """The latencies that are measured, in ms; the programs run once all the same.

    Returns a list that gets the names of each measurement.
    """
    measured: list[list[str]] = []

    def measure(runs: Mapping[str, object]) -> dict[str, list[float]]:
        found = in_turns(runs, 1)  # type: ignore[arg-type]
        measured.append(list(found))
        return {name: [times[name]] * 3 for name in found}

    patch.setattr(fastest_build, "in_turns", measure)
    return measured
