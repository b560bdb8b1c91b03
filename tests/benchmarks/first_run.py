"""Takes what a first run measured into the tables of this project.

    python -m tests.benchmarks.first_run first-run           # shows what would change
    python -m tests.benchmarks.first_run first-run --write

Four tables: rows that the plan is fitted to, the efficiency factors of that fit, texts of the
runtime, and the SDK's list of operators. Afterwards run the tests: they say which figures of the
documentation have to be made again.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import typer

from compile.plan.roofline import Calibration
from depth.chips import INFERENTIA
from depth.errors import InputError
from depth_anything.first_run.compile_host import MODEL
from depth_anything.first_run.drills import DRILLS
from depth_anything.first_run.trial import Tried, by_name, read_all
from tests.benchmarks.calibrate import fit
from tests.benchmarks.measured import MEASURED, measured_rows
from tests.benchmarks.published import ROWS, Kind
from tests.support.places import ROOT

CALIBRATION = Path("compile/plan/calibration.py")
TEXTS = Path("serve/runtimes/neuron_seen.py")
OPERATORS = Path("compile/preflight/inf1_operators.json")
_FACTORS = re.compile(r"(    INFERENTIA: Calibration\(\n).*?(\n    \),)", re.DOTALL)
_SEEN = re.compile(r"SEEN: tuple\[tuple\[str, str, str\], \.\.\.\] = .*", re.DOTALL)
Results = Mapping[str, Tried]


def main(
    folder: Path = typer.Argument(help="Results of a first run on real machines."),
    write: bool = typer.Option(False, "--write", help="Write the tables, and not only show them."),
) -> None:
    """Take what a first run measured into the tables of this project."""
    results = by_name(read_all(folder))
    check_real(results)
    for path, after in updates(results, ROOT):
        before = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""
        lines = difflib.unified_diff(
            before.splitlines(), after.splitlines(), str(path), str(path), lineterm=""
        )
        typer.echo("\n".join(lines) or f"{path}: as it was")
        if write:
            (ROOT / path).write_text(after, encoding="utf-8")


def check_real(results: Results) -> None:
    """Raises InputError for results of a machine without a driver: they measure no chip."""
    doctor = results.get("doctor")
    neuron = doctor.facts.get("facts", {}).get("neuron", {}) if doctor else {}
    if not neuron.get("driver"):
        raise InputError("these results are of a machine without a Neuron driver: nothing is taken")


def updates(results: Results, root: Path) -> Iterator[tuple[Path, str]]:
    """Each table's path below `root`, and its new text."""
    rows = list(rows_of(results))
    if rows:
        yield MEASURED, json.dumps(rows, indent=1) + "\n"
        fitted = [row for row in ROWS[INFERENTIA] if row.kind is Kind.FITTED]
        found = fit(INFERENTIA, [*fitted, *measured_rows(rows)])
        text = (root / CALIBRATION).read_text(encoding="utf-8")
        yield CALIBRATION, _FACTORS.sub(rf"\g<1>{_factors(found)}\g<2>", text, count=1)
    seen = list(texts_of(results))
    if seen:
        text = (root / TEXTS).read_text(encoding="utf-8")
        value = "(\n" + "".join(f"    {row!r},\n" for row in seen) + ")\n"
        yield TEXTS, _SEEN.sub(lambda _: f"SEEN: tuple[tuple[str, str, str], ...] = {value}", text)
    operators = results.get("operators")
    if operators and operators.facts.get("supported"):
        data = json.loads((root / OPERATORS).read_text(encoding="utf-8"))
        ours = {name for name in data["supported"] if not name.startswith("aten::")}
        theirs = set(operators.facts["supported"]) - set(data["conditional"])
        data["supported"] = sorted(ours | theirs)
        data["as_of"] = "get_supported_operations() of the torch-neuron that a first run had"
        yield OPERATORS, json.dumps(data, indent=1) + "\n"


def rows_of(results: Results) -> Iterator[dict[str, Any]]:
    """Throughputs of the whole network: with one and two runs in flight on each core."""
    for name, tried in results.items():
        if not name.startswith("cores-") or "bench" not in tried.facts:
            continue
        cores = int(name.rpartition("-")[2])
        bench = tried.facts["bench"]
        for streams, images_per_s in bench["images_per_s"].items():
            yield {
                "name": f"{MODEL} {bench['program']}, {cores} cores, {streams} in flight",
                "model": MODEL,
                "size": bench["program"].partition("-")[0],
                "programs": cores,
                "in_flight": int(streams) // cores,
                "images_per_s": images_per_s,
            }


def texts_of(results: Results) -> Iterator[tuple[str, str, str]]:
    """Pattern, action and advice for each text that our table did not understand."""
    for drill in DRILLS.values():
        tried = results.get(f"drill-{drill.name}")
        facts = tried.facts if tried else {}
        if not drill.expected or not facts.get("text"):
            continue
        if facts["understood_as"] not in facts["expected"]:
            yield re.escape(_telling(facts["text"])), drill.expected[0].value, drill.advice


def _telling(text: str) -> str:
    """The last line of a text, without numbers and addresses that are others the next time."""
    return re.split(r"\d|0x", text.strip().splitlines()[-1])[0].strip() or text.strip()


def _factors(found: Calibration) -> str:
    names = [field.name for field in fields(Calibration)]
    values = (f"{name}={value:.3f}" for name, value in zip(names, astuple(found)))
    return f"        {', '.join(values)}"


if __name__ == "__main__":
    typer.run(main)
