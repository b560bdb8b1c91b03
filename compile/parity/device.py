"""What was measured on a device is kept beside the artifact, which is verified with it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from compile.build.report import add_verification
from compile.parity.again import Reparity
from compile.targets.table import builder, target_named
from depth.artifact.manifest import Artifact, ParityLimit
from depth.artifact.verification import (
    ProgramVerification,
    Verification,
    write_verification,
)

# What the kernel says about the machine; on EC2 the product is the instance type.
_FACTS = {
    "driver": Path("/sys/module/neuron/version"),
    "instance": Path("/sys/devices/virtual/dmi/id/product_name"),
}


def keep(artifact: Artifact, found: Reparity) -> Verification:
    """Write verified.json and add the result to the reports; the manifest stays as it is."""
    m = artifact.manifest
    limit = m.parity_limit
    verification = Verification(
        identity=artifact.identity,
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={**builder(target_named(m.target, m.precision)).versions(), **_machine()},
        parity_limit=ParityLimit(limit.max_rel, limit.mean_rel, passed=not found.problems),
        programs=tuple(
            ProgramVerification(program.name, one.numbers)
            for one in found.measured
            for program in one.programs
        ),
    )
    add_verification(artifact.folder, verification, found.table())
    write_verification(artifact, verification)
    return verification


def _machine() -> dict[str, str]:
    found = {}
    for name, path in _FACTS.items():
        try:
            found[name] = path.read_text(encoding="utf-8").strip()
        except OSError:
            continue
    return found
