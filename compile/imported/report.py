"""What happened while a file was imported: report.json for machines, report.md for people."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from compile.build.report import heading
from compile.imported.parity import Compared
from compile.parity.measure import figures
from depth.artifact.manifest import Manifest
from depth.console import markdown


def write_reports(
    folder: Path, manifest: Manifest, found: Sequence[Compared], build_s: float
) -> None:
    """Write report.json and report.md: everything that may differ from one import to the next."""
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")
    host = platform.platform()
    data = {
        "made": made,
        "machine": {"host": host, "processor": platform.processor()},
        "manifest": manifest.as_json(),
        "build_s": build_s,
        "images": [asdict(each) for each in found],
    }
    (folder / "report.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    rows = [
        (each.image.replace("|", "\\|"), output, figures(numbers))
        for each in found
        for output, numbers in each.figures.items()
    ]
    table = markdown(("test image", "output", "errors"), rows)
    text = "\n".join([*heading(manifest, made, host), *table, ""])
    (folder / "report.md").write_text(text, encoding="utf-8", errors="backslashreplace")
