"""What happened while an artifact was made: report.json for machines, report.md for people."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from compile.parity import ProbeResult
from depth_anything_v2.artifact import Manifest, Program


_VERDICTS = {
    True: "passed",
    False: "FAILED, written because it was forced",
    None: "not measured, the program runs on its device only",
}


@dataclass(frozen=True)
class ProgramReport:
    name: str  # "518x686-b1"
    build_s: float
    parity_s: float
    probes: Sequence[ProbeResult]


def write_reports(folder: Path, manifest: Manifest, reports: Sequence[ProgramReport]) -> None:
    """Write report.json and report.md: everything that may differ from one build to the next."""
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")
    machine = {"host": platform.platform(), "processor": platform.processor()}
    data = {
        "made": made,
        "machine": machine,
        "manifest": asdict(manifest),
        "programs": [asdict(report) for report in reports],
    }
    (folder / "report.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    lines = [*_heading(manifest, made, machine["host"]), *_table(manifest.programs)]
    for report in reports:
        lines += ["", *_probe_table(report)]
    (folder / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _heading(manifest: Manifest, made: str, host: str) -> list[str]:
    limit = manifest.parity_limit
    verdict = _VERDICTS[limit.passed]
    return [
        f"# {manifest.model} for {manifest.target}, {manifest.precision}",
        "",
        f"- made {made} on {host}",
        f"- weights: {manifest.checkpoint.file}, licence {manifest.checkpoint.licence}, "
        f"sha256 {manifest.checkpoint.sha256}",
        f"- values: {manifest.kind}"
        + (f", up to {manifest.max_depth_m} m" if manifest.max_depth_m else ""),
        f"- parity with the eager fp32 network on this machine's CPU: {verdict} "
        f"(limits: max_rel {limit.max_rel:g}, mean_rel {limit.mean_rel:g})",
        "",
        "Relative errors: max_rel to the largest reference value, mean_rel to its mean.",
        "",
    ]


def _table(programs: Sequence[Program]) -> list[str]:
    rows = [
        "| program | MB | max_rel | mean_rel | abs_rel | delta1 | rank correlation |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for program in programs:
        size_mb = sum(file.size_bytes for file in program.files) / 1e6
        n = program.parity
        if n is None:
            rows.append(f"| {program.name} | {size_mb:.1f} | - | - | - | - | - |")
            continue
        rank = "-" if n.rank_correlation is None else f"{n.rank_correlation:.5f}"
        rows.append(
            f"| {program.name} | {size_mb:.1f} "
            f"| {n.max_rel:.2e} | {n.mean_rel:.2e} | {n.abs_rel:.2e} | {n.delta1:.4f} | {rank} |"
        )
    return rows


def _probe_table(report: ProgramReport) -> list[str]:
    rows = [
        f"## {report.name}: built in {report.build_s:.1f} s, parity in {report.parity_s:.1f} s",
        "",
        "| test image | max_rel | mean_rel | abs_rel | delta1 |",
        "|---|--:|--:|--:|--:|",
    ]
    for result in report.probes:
        n = result.numbers
        rows.append(
            f"| {result.probe} | {n.max_rel:.2e} | {n.mean_rel:.2e} | {n.abs_rel:.2e} "
            f"| {n.delta1:.4f} |"
        )
    return rows
