"""Facts to findings, and findings to text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from depth.console import aligned
from serve.doctor.device_rules import device_findings
from serve.doctor.facts import Facts
from serve.doctor.findings import PROBLEM, WARNING, Finding
from serve.doctor.host_rules import artifact_findings, host_findings
from serve.doctor.packages import package_findings


def diagnose(facts: Facts) -> list[Finding]:
    """Every check's findings, in the order in which a person reads them."""
    return [
        *host_findings(facts),
        *package_findings(facts),
        *device_findings(facts),
        *artifact_findings(facts),
    ]


def has_problem(findings: Sequence[Finding]) -> bool:
    """Whether something here keeps this machine from serving."""
    return any(finding.level == PROBLEM for finding in findings)


def table(findings: Sequence[Finding]) -> str:
    """A line per finding, what to do below it, and a count."""
    rows = []
    for finding in findings:
        rows.append((finding.level, finding.topic, finding.text))
        if finding.advice:
            rows.append(("", "", f"→ {finding.advice}"))
    counts = [sum(f.level == level for f in findings) for level in (PROBLEM, WARNING)]
    return "\n".join([*aligned(rows), "", f"{counts[0]} problems, {counts[1]} warnings"])


def as_json(facts: Facts, findings: Sequence[Finding]) -> str:
    """Findings, and the facts that they come from."""
    data = {"findings": [asdict(finding) for finding in findings], "facts": asdict(facts)}
    return json.dumps(data, indent=2)
