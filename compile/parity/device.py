"""Keeps the measurement on a device beside the artifact: it verifies the artifact."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from compile.parity.again import Reparity
from compile.targets.table import builder, target_named
from depth.artifact.manifest import REPORTS, Artifact, Gate
from depth.artifact.verification import (
    ProgramVerification,
    Verification,
    next_counter,
    write_verification,
)
from depth.errors import ArtifactError
from depth.files import read_regular, write_whole

_MAX_FACT_BYTES, _MAX_REPORT_BYTES = 1 << 12, 1 << 26
_ON_DEVICE = "## Measured on the device"
# What the kernel says about the machine; on EC2 the product is the instance type.
_FACTS = {
    "driver": Path("/sys/module/neuron/version"),
    "instance": Path("/sys/devices/virtual/dmi/id/product_name"),
}


def read_reports(folder: Path) -> tuple[dict[str, Any], str]:
    """Both reports of an artifact, which a measurement is added to. Raises ArtifactError."""
    path = folder
    try:
        path = folder / REPORTS[0]
        data = json.loads(read_regular(path, _MAX_REPORT_BYTES).decode("utf-8"))
        path = folder / REPORTS[1]
        return data, read_regular(path, _MAX_REPORT_BYTES).decode("utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ArtifactError(f"{path}: cannot be read: {why}; pull the artifact again") from error


def keep(artifact: Artifact, found: Reparity) -> Verification:
    """Write verified.json and add the result to the reports; the manifest stays as it is."""
    m = artifact.manifest
    verification = Verification(
        identity=artifact.identity,
        counter=next_counter(artifact),
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={**builder(target_named(m.target, m.precision)).versions(), **_machine()},
        gate=Gate(m.gate.limits, passed=not found.problems),
        programs=tuple(
            ProgramVerification(program.name, chain.measured, chain.answers.get(program.name, {}))
            for chain in found.chains
            for program in chain.programs
        ),
    )
    _add_to_reports(artifact.folder, verification, found.table())
    write_verification(artifact, verification)
    return verification


def _machine() -> dict[str, str]:
    found = {}
    for name, path in _FACTS.items():
        try:
            found[name] = read_regular(path, _MAX_FACT_BYTES).decode("utf-8").strip()
        except (OSError, ValueError):
            continue
    return found


def _add_to_reports(folder: Path, verification: Verification, table: str) -> None:
    """Add what was measured on the device to both reports; an earlier measurement is replaced."""
    json_path, path = (folder / name for name in REPORTS)
    data, text = read_reports(folder)
    data["verification"] = asdict(verification)
    write_whole(json_path, json.dumps(data, indent=2) + "\n")
    before = text.partition(_ON_DEVICE)[0].rstrip()
    verdict = "passed" if verification.gate.passed else "FAILED"
    versions = ", ".join(f"{name} {text}" for name, text in verification.versions.items())
    lines = [before, "", _ON_DEVICE, "", f"{verdict}, {verification.made}, {versions}", ""]
    write_whole(path, "\n".join([*lines, "```", table, "```", ""]))
