"""The page: every claim of the README, and each fault on its own line."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from depth_anything.first_run.claims import CLAIMS, HOLDS, OPEN, WRONG, judged
from depth_anything.first_run.compile_host import compile_trials
from depth_anything.first_run.extent import FULL
from depth_anything.first_run.instance import serve_trials
from depth_anything.first_run.page import page_lines, write_page
from depth_anything.first_run.places import Places
from depth_anything.first_run.trial import FAILED, PASSED, Tried, by_name, read_all, write_tried
from tests.support.places import ROOT

PLACES = Places(Path("/out"), Path("/artifacts"), "s3://b/d", Path("/images"), None)
BUILT = {
    "name": "518x518-b1",
    "build_s": 1800.0,
    "peak_memory_bytes": 20_000_000_000,
    "fallback": "as asked",
    "attempts": [],
    "operators": 385,
    "compiled": 385,
    "macs": 63.0e9,
    "gave_up_optimising": False,
}
BENCH = {"program": "518x518-b1", "latency_ms": 60.0, "first_result_s": 9.0}
FACTS = {"release": "Ubuntu", "cpu": {"model": "Xeon"}, "packages": {"torch": "1.13.1"}}


def clean() -> list[Tried]:
    """Every trial of both machines, as if everything had gone as the README says."""
    compiled = [_of(row, "compile") for row in compile_trials(FULL, PLACES)]
    built = {row.name: row.artifact for row in compiled if row.artifact}
    return [*compiled, *(_of(row, "serve") for row in serve_trials(FULL, PLACES, built))]


def _of(trial: Any, role: str) -> Tried:
    builds = "build" in trial.commands[0]
    artifact = f"{trial.name}-1234" if builds else None
    facts = _facts(trial.name, builds)
    return Tried(trial.name, role, trial.about, PASSED, trial.commands, 1.0, "", artifact, facts)


def _facts(name: str, builds: bool) -> dict[str, Any]:
    if builds:
        return {"built": [BUILT]}
    if name.startswith(("bench-", "cores-")):
        cores = int(name[-1]) if name.startswith("cores-") else 1
        rates = {str(cores): 16.0 * cores, str(2 * cores): 17.0 * cores}
        return {"bench": {**BENCH, "images_per_s": rates, "folder_s_per_image": 0.1}}
    if name.startswith("parity-"):
        errors = {"depth": {"max_rel": 0.01, "mean_rel": 0.001}}
        return {"measured": {"passed": True, "programs": {"518x518-b1": errors}}}
    driver = {"facts": {"neuron": {"driver": "2.24.13.0", "instance_type": "inf1.xlarge"}}}
    return {
        "facts": FACTS,
        "doctor": driver,
        "vits-decoder": {"compile_s": 900.0, "compiled": 80},
        "vits-encoder": {"compile_s": 900.0, "compiled": 305},
    }.get(name, {})


def readme_rows() -> list[str]:
    """The first column of every table about Inferentia."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("\n## Inferentia")[1].split("\n## ")[0]
    cells = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("|")]
    return [cell for cell in cells if cell.strip("-: ") and cell not in ("part",)]


def test_every_claim_of_the_readme_is_judged() -> None:
    assert [claim.row for claim in CLAIMS] == readme_rows()


def test_a_run_as_the_readme_says_has_nothing_wrong() -> None:
    states = {claim.row: verdict.state for claim, verdict in judged(by_name(clean()))}
    assert WRONG not in states.values(), states
    untried = [row for row, state in states.items() if state == OPEN]
    assert untried == ["the same at 504×504", "`vitb`, `vitl`", "batches above 1"]


def test_published_weights_are_fetched_on_both_machines_unless_others_are_given() -> None:
    given = replace(PLACES, checkpoint="untrained")
    for places, count in ((PLACES, 2), (given, 0)):
        trials = [*compile_trials(FULL, places), *serve_trials(FULL, places, {"demo": "x"})]
        assert sum(row.name == "weights" for row in trials) == count


def test_a_log_without_a_count_of_operators_proves_nothing() -> None:
    silent = {"built": [{**BUILT, "operators": None, "compiled": None}]}
    rows = [replace(row, facts=silent) if row.name == "vits-fused" else row for row in clean()]
    states = {claim.row: verdict.state for claim, verdict in judged(by_name(rows))}
    assert states["operators on the chip, 518×518 to 518×924"] == OPEN


def test_without_results_nothing_is_measured() -> None:
    states = {verdict.state for _, verdict in judged({})}
    assert states == {OPEN, "not about the device"}


LEFT = {"built": [{**BUILT, "compiled": 380}]}
SLOW = {"bench": {**BENCH, "latency_ms": 900.0, "images_per_s": {"1": 1.0, "2": 1.0}}}
ALONE = {"bench": {**BENCH, "images_per_s": {"4": 20.0, "8": 20.0}}}
DIED = "the compiler was ended with signal 9, as the kernel does when memory runs out"


@pytest.mark.parametrize(
    ("trial", "changed", "claim"),
    [
        ("one-layer", {"state": FAILED, "why": "1 of 20 modes failed: all: crash"}, None),
        ("vits-decoder", {"state": FAILED, "why": DIED}, "decoder, all of it on the chip"),
        ("vits-encoder", {"state": FAILED, "why": DIED}, "encoder of `vits`, 518×518, batch 1"),
        ("vits-sliced", {"facts": LEFT}, "operators on the chip, 518×518 to 518×924"),
        ("every-core", {"state": FAILED, "why": "core 2: computes wrong numbers"}, "cores"),
        ("every-core", {"state": FAILED, "why": "core 1: status=5 Timeout"}, "cores"),
        ("cores-4", {"facts": ALONE}, "cores"),
        ("bench-vits-fused", {"facts": SLOW}, "speed of `vits`, 518×518, inf1.xlarge"),
        ("parity-vits-sliced", {"state": FAILED, "why": "over the limit"}, "precision"),
        (
            "parity-demo",
            {"state": FAILED, "why": "over the limit"},
            "numbers of a program on the device",
        ),
        ("soak", {"state": FAILED, "why": "3 runs failed: status=1"}, None),
        ("drill-memory-full", {"state": FAILED, "why": "the text is understood as None"}, None),
    ],
)
def test_a_fault_changes_exactly_its_line(
    trial: str, changed: dict[str, Any], claim: Optional[str]
) -> None:
    before = clean()
    after = [replace(row, **changed) if row.name == trial else row for row in before]
    pages = page_lines(before), page_lines(after)
    assert len(pages[0]) == len(pages[1])
    lines = [new for old, new in zip(*pages) if old != new]
    expected = [f"| {claim} | **wrong** |"] if claim else []
    expected.append(f"| {trial} |")
    assert [line[: len(start)] for line, start in zip(lines, expected)] == expected
    assert len(lines) == len(expected), lines


def test_a_fallback_stands_on_the_line_of_its_trial() -> None:
    tried = [["as asked", "memory"], ["stages apart", "crash"]]
    facts = {"built": [{**BUILT, "fallback": "-O 0", "attempts": tried}]}
    rows = [replace(row, facts=facts) if row.name == "vits-fused" else row for row in clean()]
    (line,) = [x for x in page_lines(rows) if x.startswith("| vits-fused |")]
    assert "with -O 0, because as asked failed (memory), stages apart failed (crash)" in line


def test_without_a_driver_no_figure_is_a_measurement() -> None:
    none = {"facts": {"neuron": {"driver": None, "instance_type": None}}}
    rows = [replace(row, facts=none) if row.name == "doctor" else row for row in clean()]
    text = "\n".join(page_lines(rows))
    assert "no figure below is a measurement of a chip" in text
    assert "driver 2.24.13.0, inf1.xlarge" in "\n".join(page_lines(clean()))


def test_a_text_of_the_runtime_cannot_break_the_table() -> None:
    why = "a | b\x1b[2J\n# heading " + "x" * 1000
    rows = [replace(row, state=FAILED, why=why) if row.name == "soak" else row for row in clean()]
    lines = page_lines(rows)
    (line,) = [line for line in lines if line.startswith("| soak |")]
    assert len(re.findall(r"(?<!\\)\|", line)) == 6
    assert "\x1b" not in line
    assert len(line) < 600


def test_only_one_machine_is_said() -> None:
    rows = [row for row in clean() if row.role == "compile"]
    lines = page_lines(rows)
    assert "- serve: no results of this machine in this folder" in lines


def test_the_page_is_made_of_what_the_folder_holds(tmp_path: Path) -> None:
    rows = clean()[:3]
    for number, row in enumerate(rows):
        folder = tmp_path / row.role / f"{number:02}-{row.name}"
        folder.mkdir(parents=True)
        write_tried(folder, row)
        assert json.loads((folder / "result.json").read_text())["name"] == row.name
    assert read_all(tmp_path) == rows
    assert write_page(tmp_path).read_text().splitlines() == page_lines(rows)


def test_the_states_are_those_of_the_page() -> None:
    assert {verdict.state for _, verdict in judged(by_name(clean()))} == {
        HOLDS,
        OPEN,
        "not about the device",
    }
