"""What an evaluation found, as a table for eyes, and as CSV or JSON with every image."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from depth.console import aligned
from depth.errors import DepthFileError, InputError
from depth.evaluation.metrics import METRICS
from depth.evaluation.run import Evaluation, Row
from depth.files import write_whole

CSV, JSON = ".csv", ".json"
FORMAT = 1
_BETTER = dict.fromkeys(("delta1", "delta2", "delta3"), "higher")


def check_report(path: Path) -> None:
    """Raises InputError for a name that says no form of a report, or whose folder is not there."""
    _check_name(path)
    if not path.parent.is_dir():
        raise InputError(f"--report {path}: its folder is not there; make it, and run again")


def _check_name(path: Path) -> None:
    if path.suffix.lower() not in (CSV, JSON):
        raise InputError(f"--report {path}: expected a name that ends in {CSV} or {JSON}")


def table(found: Evaluation) -> list[str]:
    """Lines: the mean over images of each figure, and what was measured."""
    rows = [("figure", "mean over images", "better")]
    rows += [
        (name, f"{mean:.4f}", _BETTER.get(name, "lower")) for name, mean in found.means.items()
    ]
    resampled = sum(row.resampled for row in found.rows)
    lines = [*aligned(rows), f"{len(found.rows)} images, {found.pixels} valid pixels"]
    if resampled:
        lines.append(f"{resampled} predictions were resized to the size of their true depth")
    makers = [
        f"made by {made.model}, weights {made.weights}, {made.target} {made.precision}, artifact "
        f"{made.artifact or 'none'}"
        for made in found.made
    ]
    return [*lines, *dict.fromkeys(makers)]  # of several sizes, each once


def write_report(path: Path, found: Evaluation) -> None:
    """Write the report whole, by the name's extension. Raises DepthFileError and InputError."""
    _check_name(path)
    text = _csv(found) if path.suffix.lower() == CSV else _json(found)
    try:
        write_whole(path, text)
    except OSError as error:
        raise DepthFileError(f"{path}: cannot be written: {error.strerror}") from error


def _json(found: Evaluation) -> str:
    content: dict[str, Any] = {
        "format": FORMAT,
        "protocol": asdict(found.protocol),
        "paired_by": found.rule,
        "made_by": [asdict(made) for made in found.made],
        "images": len(found.rows),
        "pixels": found.pixels,
        "mean": found.means if found.rows else None,
        "rows": [_entry(row) for row in found.rows],
        "left_out": [asdict(left) for left in found.left_out],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _csv(found: Evaluation) -> str:
    heading = ["name", "prediction", "truth", "pixels", "resampled", "scale", "shift", *METRICS]
    file = io.StringIO()
    writer = csv.DictWriter(file, [*heading, "left_out"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_entry(row) for row in found.rows)
    writer.writerows({"name": left.name, "left_out": left.reason} for left in found.left_out)
    return file.getvalue()


def _entry(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "prediction": str(row.prediction),
        "truth": str(row.truth),
        "pixels": row.pixels,
        "resampled": row.resampled,
        "scale": row.move.scale,
        "shift": row.move.shift,
        **row.figures,
    }
