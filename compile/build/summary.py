"""An artifact in words."""

from __future__ import annotations

from compile.build.report import outputs_text
from compile.parity.measure import figures, limits_text
from depth.artifact.manifest import Artifact, Manifest
from depth.artifact.program import Program

VERDICTS = {True: "passed", False: "FAILED", None: "not measured: needs the device"}


def summary(artifact: Artifact) -> str:
    """Several lines for a person, from the manifest alone."""
    m = artifact.manifest
    lines = [
        f"artifact     {artifact.folder}",
        f"identity     {artifact.identity}",
        f"model        {m.model} ({m.family})",
        f"values       {outputs_text(m)}",
        f"weights      {m.checkpoint.file}, licence {m.checkpoint.licence}, "
        f"sha256 {m.checkpoint.sha256[:12]}...",
        f"target       {m.target}, {m.precision}" + (f", {' '.join(m.flags)}" if m.flags else ""),
        f"made with    {', '.join(f'{name} {text}' for name, text in sorted(m.versions.items()))}",
        f"size         {m.size.bound} bound {m.size.side_px} px, multiples of "
        f"{m.size.multiple_px} px",
        f"steps        {_steps(m)}",
        f"parity       {VERDICTS[m.gate.passed]} (limits: {limits_text(m.gate.limits)})",
        "programs",
        *(_line(program) for program in m.programs),
    ]
    return "\n".join(lines)


def _steps(manifest: Manifest) -> str:
    names = (step.as_json() for step in manifest.steps)
    return ", ".join(str(name.get("do") or f"run {name['run']}") for name in names)


def _line(program: Program) -> str:
    size_mb = sum(file.size_bytes for file in program.files) / 1e6
    measured = program.measured or {}
    numbers = "".join(f", {output}: {figures(found)}" for output, found in measured.items())
    return f"  {program.name}: {size_mb:.1f} MB{numbers}"
