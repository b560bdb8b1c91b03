"""What happened while an artifact was made: report.json for machines, report.md for people."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from compile.parity.inputs import printable
from compile.parity.measure import InputErrors, Measured, figures, limits_text
from depth.artifact.manifest import Manifest
from depth.artifact.program import Program
from depth.console import markdown
from depth.family import INSTANCE_MASKS

if TYPE_CHECKING:
    from compile.build.proven import Proven
    from compile.int8.images import Calibration
    from compile.int8.layers import Quantisation
    from compile.neuron.record import BuildRecord
    from compile.preflight.report import PreflightReport
    from compile.targets.protocols import Compiled

PREFLIGHT = "## Preflight"  # the last part of report.md

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
    probes: Sequence[InputErrors]  # of all programs of a size and batch, run one after the other
    record: Optional[BuildRecord] = None  # of a Neuron compiler
    preflight: Optional[PreflightReport] = None

    @classmethod
    def of(cls, name: str, program: Compiled, proven: Proven) -> ProgramReport:
        return cls(
            name,
            program.build_s,
            proven.parity_s,
            proven.results,
            program.record,
            proven.preflight,
        )


def write_reports(
    folder: Path,
    manifest: Manifest,
    reports: Sequence[ProgramReport],
    quantisation: Optional[Quantisation] = None,
) -> None:
    """Write report.json and report.md: everything that may differ from one build to the next."""
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")
    machine = {"host": platform.platform(), "processor": platform.processor()}
    data = {
        "made": made,
        "machine": machine,
        "manifest": manifest.as_json(),
        "programs": [asdict(report) for report in reports],
    }
    if quantisation:
        data["calibration"] = _calibration_facts(quantisation.calibration)
        data["layers"] = quantisation.layer_facts()
    (folder / "report.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    lines = [*heading(manifest, made, machine["host"]), *_int8_lines(quantisation)]
    lines += _table(manifest.programs)
    for report in reports:
        lines += ["", *_program(report)]
    checked = [report.preflight.markdown() for report in reports if report.preflight]
    lines += ["", PREFLIGHT, *(f"\n#{text}" for text in checked)] if checked else []
    # A file of weights may have any name, and a compiler may say anything.
    (folder / "report.md").write_text(
        "\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace"
    )


def _calibration_facts(calibration: Calibration) -> dict[str, object]:
    return {
        "sha256": calibration.sha256,
        "unreadable": calibration.unreadable,
        "images": [
            {"name": printable(image.path.name), "sha256": image.sha256}
            for image in calibration.images
        ],
    }


def _int8_lines(quantisation: Optional[Quantisation]) -> list[str]:
    if quantisation is None:
        return []
    calibration = quantisation.calibration
    return [
        f"Calibrated on {len(calibration.images)} images, of which parity sees none; "
        f"{calibration.unreadable} more could not be read. report.json names them.",
        "",
        quantisation.layers_text(),
        "",
    ]


def heading(manifest: Manifest, made: str, host: str) -> list[str]:
    """The first lines of report.md. `made`: a time in UTC; `host`: the machine in words."""
    verdict = _VERDICTS[manifest.gate.passed]
    return [
        f"# {manifest.model} for {manifest.target}, {manifest.precision}",
        "",
        f"- made {made} on {host}",
        f"- weights: {manifest.checkpoint.file}, licence {manifest.checkpoint.licence}, "
        f"sha256 {manifest.checkpoint.sha256}",
        f"- outputs: {outputs_text(manifest)}",
        f"- parity with {reference_text(manifest)}: {verdict} "
        f"(limits: {limits_text(manifest.gate.limits)})",
        "",
        "Relative errors: max_rel to the largest reference value, mean_rel to its mean.",
        "",
    ]


def reference_text(manifest: Manifest) -> str:
    """What the saved programs are compared with."""
    if any(output.kind == INSTANCE_MASKS for output in manifest.outputs):
        return "the given file in ONNX Runtime"
    return "the eager fp32 network"


def outputs_text(manifest: Manifest) -> str:
    """depth (metres, up to 20), sky (sky)"""
    return ", ".join(
        f"{output.name} ({output.becomes or output.kind}"
        + (f", up to {output.largest:g}" if output.largest else "")
        + ")"
        for output in manifest.outputs
    )


def _table(programs: Sequence[Program]) -> list[str]:
    rows = [
        (program.name, f"{sum(file.size_bytes for file in program.files) / 1e6:.1f}", *columns)
        for program in programs
        for columns in _measured_rows(program.measured)
    ]
    return markdown(("program", "MB", "output", "errors"), rows)


def _measured_rows(measured: Optional[Measured]) -> list[tuple[str, str]]:
    if measured is None:
        return [("-", "-")]
    return [(output, figures(numbers)) for output, numbers in measured.items()]


def _program(report: ProgramReport) -> list[str]:
    rows = [f"## {report.name}: built in {report.build_s:.1f} s", ""]
    if report.record:
        rows += _compiler(report.record)
    if report.probes:
        rows += [f"Parity in {report.parity_s:.1f} s.", "", *_probe_table(report)]
    return rows


def _compiler(record: BuildRecord) -> list[str]:
    log = record.log
    rows = [
        f"- compiler arguments: `{' '.join(record.compiler_arguments)}`",
        _origin(record),
        f"- {log.percent_compiled or 0:.4g} % of {log.operators or 0} operators compiled, in "
        f"{log.compiled_subgraphs or 0} sub-graphs"
        if log.operators is not None
        else "- the compiler's log states no share of compiled operators; the graph was read",
        f"- compiler's peak memory {record.peak_memory_bytes / 1e9:.2f} GB",
    ]
    for graph in record.subgraphs:
        stated = {key: value for key, value in asdict(graph).items() if value and key != "name"}
        if stated:
            numbers = ", ".join(f"{key} {value}" for key, value in stated.items())
            rows.append(f"- sub-graph {graph.name}, the compiler's own estimates: {numbers}")
    rows += [f"- **{warning}**" for warning in record.warnings]
    rows += [f"- failed before: {attempt.fallback}: {attempt.error}" for attempt in record.attempts]
    return [*rows, ""]


def _origin(record: BuildRecord) -> str:
    if not record.from_cache:
        return f"- compiled: {record.fallback}"
    return (
        "- taken from the compile cache: the same program was compiled before, in "
        f"{record.build_s:.1f} s ({record.fallback}); the compiler's files of that run are in "
        f"`{record.work_folder}`"
    )


def _probe_table(report: ProgramReport) -> list[str]:
    rows = [
        (result.probe.replace("|", "\\|"), output, figures(numbers))
        for result in report.probes
        for output, numbers in result.measured.items()
    ]
    return markdown(("test image", "output", "errors"), rows)
