"""An artifact in words."""

from __future__ import annotations

from collections.abc import Iterator

from compile.build.report import outputs_text
from compile.parity.measure import figures, limits_text
from depth.artifact.manifest import Artifact, Manifest
from depth.artifact.program import Program
from depth.artifact.steps import DecodeYolov8Seg, Do
from depth.sizes import size_text

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
        *_sizes(m),
        f"steps        {_steps(m)}",
        f"parity       {VERDICTS[m.gate.passed]} (limits: {limits_text(m.gate.limits)})",
        "programs",
        *(_line(program) for program in m.programs),
    ]
    return "\n".join(lines)


def _sizes(manifest: Manifest) -> Iterator[str]:
    """How images are resized; of instance masks also the classes."""
    steps = [step.step for step in manifest.steps if isinstance(step, Do)]
    decode = next((step for step in steps if isinstance(step, DecodeYolov8Seg)), None)
    rule = manifest.size
    if decode is None:
        multiple = f"multiples of {rule.multiple_px} px"
        yield f"size         {rule.bound} bound {rule.side_px} px, {multiple}"
        return
    yield f"size         the program's own, {size_text(manifest.programs[0].size)} px"
    wanted = f"; by default {', '.join(decode.wanted)}" if decode.wanted else ""
    yield f"classes      {', '.join(decode.classes)}{wanted}"


def _steps(manifest: Manifest) -> str:
    names = (step.as_json() for step in manifest.steps)
    return ", ".join(str(name.get("do") or f"run {name['run']}") for name in names)


def _line(program: Program) -> str:
    size_mb = sum(file.size_bytes for file in program.files) / 1e6
    measured = program.measured or {}
    numbers = "".join(f", {output}: {figures(found)}" for output, found in measured.items())
    return f"  {program.name}: {size_mb:.1f} MB{numbers}"
