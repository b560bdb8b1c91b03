"""A compile job for a Neuron target, through the stand-in for its compiler."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file

from compile.preflight.programs import network_for, preflight_all
from compile.preflight.report import all_together
from compile.targets.protocols import Limit
from compile.targets.table import TARGETS
from depth.artifact.verification import state
from depth.chips import CHIPS
from depth_anything_v2.config import MODELS, model_row
from tests.support.jobs import (
    JOB,
    STEPS,
    WITH_STORE,
    command,
    done_before,
    only_artifact,
    prepare,
    report,
    states,
    stored,
)
from tests.support.killed import Kill, killed
from tests.support.networks import TINY, weights
from tests.support.neuron_standin import STANDINS, Standin, needs_torch_1_13, standin_fixture

__all__ = ["standin_fixture"]
pytestmark = needs_torch_1_13
MODEL = model_row("tiny", TINY)
INF1 = ("--model", "tiny", "--target", "inf1")
QUICK = (*INF1, "--precision", "matmult-fp16")  # instead of a forecast for every mode


@pytest.fixture(autouse=True)
def place(standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with weights of a tiny network, for a machine that can compile."""
    assert standin.calls() == []
    monkeypatch.setenv("HOME", str(tmp_path))  # the compile cache is there
    monkeypatch.setitem(MODELS, "tiny", MODEL)
    prepare(tmp_path, monkeypatch)
    save_file(weights(TINY), "weights.safetensors")
    return tmp_path


def test_a_job_picks_the_mode_by_forecast_and_compiles_once(standin: Standin) -> None:
    ended = command(*WITH_STORE, *INF1)
    artifact = only_artifact()
    assert (ended.code, ended.out) == (0, f"{artifact.folder}\n")
    assert state(artifact) == "built"
    assert stored() == [artifact.identity]
    assert list(states()) == STEPS
    text = report()
    (row,) = (line for line in text.splitlines() if "| **chosen** |" in line)
    assert row.startswith(f"| {artifact.manifest.precision} | ")
    assert f"\n`auto` takes `{artifact.manifest.precision}`: the fastest mode within " in text
    assert "\n## Preflight\n\n#### 28x42-b1 for inf1: passes\n" in text
    assert text.count("28x42-b1 for inf1: passes") == 1
    assert text.count("\n| operator | ") == 1
    assert "device memory, estimated without the programs' code: 1 program(s)" in text
    assert "\n- compiled: as asked\n" in text
    plan = text.partition("\n#### Plan, estimated\n")[2]
    assert "tiny at 28x42 on inf1.xlarge" in plan.partition("\n## Push\n")[0]
    assert len(standin.calls()) == 1

    shutil.rmtree(artifact.folder)
    assert command(*WITH_STORE, *INF1).code == 0
    assert done_before() == ["preflight", "precision"]
    assert only_artifact().identity == artifact.identity
    assert "\n- taken from the compile cache: the same program was compiled before, in " in report()
    assert len(standin.calls()) == 1


def test_a_preflight_that_fails_ends_the_job(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHIPS, "inf1", replace(CHIPS["inf1"], core_bytes=1000))
    ended = command(*JOB, *INF1)
    assert ended.code == 1
    assert ended.error().startswith("28x42-b1: about 0.00 GB of device memory, a core has 0.00 GB")
    assert states() == {"fetch": "", "preflight": "failed"}
    assert standin.calls() == []


def test_programs_that_fit_one_by_one_must_fit_together(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = [((28, 42), 1), ((28, 56), 1)]
    passes = TARGETS["inf1"].passes
    reports = preflight_all(network_for(MODEL, None), "inf1", shapes, passes, None, lambda _: None)
    almost_bytes = all_together(reports).core_bytes - 1
    monkeypatch.setitem(CHIPS, "inf1", replace(CHIPS["inf1"], core_bytes=almost_bytes))
    ended = command(*JOB, *INF1, "--size", "28x56")
    assert ended.code == 1
    expected = "the programs do not fit into device memory together; make fewer\n"
    assert ended.error() == expected
    assert f"**FAILED at preflight**: {expected}" in report()
    assert standin.calls() == []


def test_a_job_does_not_build_a_mode_with_a_forecast_over_the_limit(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = TARGETS["inf1"]
    limits = dict.fromkeys(target.limits, Limit(1e-9, 1e-9, 1e-9, 1e-9))
    monkeypatch.setitem(TARGETS, "inf1", replace(target, limits=limits))
    ended = command(*JOB, *QUICK)
    assert ended.code == 1
    assert "no precision mode of inf1 is forecast within max_rel 1e-09" in ended.error()
    assert states() == {"fetch": "", "preflight": "", "precision": "failed"}
    assert standin.calls() == []


def test_a_program_that_was_compiled_outlives_a_killed_job(standin: Standin, place: Path) -> None:
    two = (*JOB, *QUICK, "--size", "28x56")
    known = (
        "import sys\n"
        f"sys.path[:0] = [{str(place / 'packages')!r}, {str(STANDINS)!r}]\n"
        "from depth_anything_v2.config import *\n"
        f"MODELS['tiny'] = model_row('tiny', {TINY})\n"
    )
    killed(two, Kill("compile.neuron.cache:ProgramCache.store", "after"), known)
    assert list(Path("out").glob(".building-*"))
    assert len(standin.calls()) == 1

    assert command(*two).code == 0
    assert len(standin.calls()) == 2
    assert done_before() == ["preflight", "precision"]
    names = [program.name for program in only_artifact().manifest.programs]
    assert names == ["28x42-b1", "28x56-b1"]
    assert report().count("\n- taken from the compile cache: ") == 1
