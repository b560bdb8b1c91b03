"""An artifact in words."""

from __future__ import annotations

from depth.artifact.manifest import Artifact, Program

VERDICTS = {True: "passed", False: "FAILED", None: "not measured: needs the device"}


def summary(artifact: Artifact) -> str:
    """Several lines for a person, from the manifest alone."""
    m = artifact.manifest
    limit = m.parity_limit
    lines = [
        f"artifact     {artifact.folder}",
        f"identity     {artifact.identity}",
        f"model        {m.model} ({m.family})",
        f"values       {m.kind}" + (f", up to {m.max_depth_m:g} m" if m.max_depth_m else ""),
        f"weights      {m.checkpoint.file}, licence {m.checkpoint.licence}, "
        f"sha256 {m.checkpoint.sha256[:12]}...",
        f"target       {m.target}, {m.precision}"
        + (f", {' '.join(m.compiler_flags)}" if m.compiler_flags else ""),
        f"made with    {', '.join(f'{name} {text}' for name, text in sorted(m.versions.items()))}",
        f"pre-process  {m.preprocess.mode}: {m.preprocess.interpolation} resize to a short side of "
        f"{m.preprocess.short_side_px} px, multiples of {m.preprocess.multiple_px} px",
        f"parity       {VERDICTS[limit.passed]} "
        f"(limits: max_rel {limit.max_rel:g}, mean_rel {limit.mean_rel:g})",
        "programs",
        *(_line(program) for program in m.programs),
    ]
    return "\n".join(lines)


def _line(program: Program) -> str:
    size_mb = sum(file.size_bytes for file in program.files) / 1e6
    n = program.parity
    numbers = (
        f", max_rel {n.max_rel:.2e}, mean_rel {n.mean_rel:.2e}, delta1 {n.delta1:.4f}" if n else ""
    )
    return f"  {program.name}: {size_mb:.1f} MB{numbers}"
