"""The report of a job: what a reviewer reads before the artifact is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from compile.job.ledger import keep
from compile.job.spec import JobSpec
from depth.console import markdown
from depth.errors import first_line

REPORT = "report.md"
_TITLES = {
    "fetch": "Weights",
    "preflight": "Preflight",
    "precision": "Precision",
    "build": "Build, parity and package",
    "push": "Push",
}


@dataclass(frozen=True)
class Section:
    step: str
    text: str
    duration_s: float
    before: bool  # done by a former run


def write_report(
    folder: Path,
    spec: JobSpec,
    sections: Sequence[Section],
    failed: Optional[str],
    problem: Optional[Exception],
) -> Path:
    """Write report.md into the job's folder; `failed` is the step that `problem` ended.

    Raises JobError if it cannot be written.
    """
    verdict = f"**FAILED at {failed}**: {first_line(problem)}" if problem else "**done**"
    lines = [f"# Compile job: {spec.model} for {spec.target}", "", verdict, ""]
    rows = [(s.step, f"{s.duration_s:.1f}", "done before" * s.before) for s in sections]
    rows += [(failed, "", "failed")] if failed else []
    lines += markdown(("step", "seconds", ""), rows, right=(1,))
    lines += ["", "Asked for:", "", "```"]
    lines += [f"{key} = {value!r}" for key, value in asdict(spec).items() if value is not None]
    lines.append("```")
    for section in sections:
        lines += ["", f"## {_TITLES[section.step]}", "", _below(section.text)]
    if problem:
        lines += ["", f"## {_TITLES[str(failed)]}", "", "```", str(problem), "```"]
    path = folder / REPORT
    keep(path, "\n".join(lines) + "\n")
    return path


def _below(text: str) -> str:
    """Headings two levels down, to be parts of a section."""
    return "\n".join(f"##{line}" if line.startswith("#") else line for line in text.splitlines())
