"""Cold starts: from the order to start a process to its first result, before and after, in turns.

    python -m tests.benchmarks.cold_start artifacts/NAME [artifacts/OTHER] --photo photo.jpg
    python -m tests.benchmarks.cold_start artifacts/NAME --before ../earlier-checkout --runs 9
    python -m tests.benchmarks.cold_start artifacts/NAME --inference --only-table

sidecar    `serve sidecar` of one image, until the process has ended
folder     `serve folder` of one image, until the process has ended
http       `serve http`, until it says that it is ready
inference  `main.py inference` of one image with the bundled model, until the process has ended

Each is run with the cache of prepared programs off and on, and by an earlier checkout with
--before. A round before those that count fills the cache, and Python's cache of bytecode. Raw
samples go to tests/benchmarks/results/cold-start.json.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Optional

import typer

from depth.artifact.manifest import read_artifact
from depth.console import markdown
from depth.cpu import read_cpu
from serve.bench.samples import ratio
from serve.bench.turns import take_turns
from tests.support.places import ROOT

RESULT = Path("tests/benchmarks/results/cold-start.json")
BEFORE, OFF, ON = "before", "cache off", "cache on"
_READY = "ready: "
_NEW = "{new}"  # in a command: a folder of its own for every run


@dataclass(frozen=True)
class Case:
    """One command in one variant."""

    model: str
    door: str
    variant: str
    words: tuple[str, ...]
    root: Path

    def seconds(self, scratch: Path) -> tuple[float, float]:
        """Wall time from the order to its end, or until it is ready; CPU time of the process."""
        new = tempfile.mkdtemp(dir=scratch)
        words = [word.replace(_NEW, new) for word in self.words]
        environment = {
            **os.environ,
            "DEPTH_PROGRAM_CACHE": str(scratch / "programs") if self.variant == ON else "off",
            "PYTHONDONTWRITEBYTECODE": "",  # else every start compiles our modules
            "PYTHONPATH": str(self.root),
        }
        begun_s = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, *words],
            cwd=self.root,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            said = ""
            for line in process.stderr or ():
                said = line
                if self.door == "http" and _READY in line:
                    taken_s = time.perf_counter() - begun_s
                    process.send_signal(signal.SIGTERM)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if self.door != "http":
                taken_s = time.perf_counter() - begun_s
        if process.returncode:
            raise ValueError(f"{' '.join(words)}: code {process.returncode}: {said}")
        return taken_s, used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Row:
    """The samples of a door in every variant: wall and CPU time, in seconds."""

    model: str
    door: str
    samples_s: dict[str, list[tuple[float, float]]]


def main(
    artifacts: list[Path] = typer.Argument(help="Artifacts of target openvino."),
    photo: Path = typer.Option(ROOT / "input_images/samples/hall.jpg", help="A photograph."),
    before: Optional[Path] = typer.Option(None, help="A checkout of an earlier version."),
    inference: bool = typer.Option(False, help="Time `main.py inference` with demo too."),
    runs: int = typer.Option(7, min=1, help="Rounds that count."),
    only_table: bool = typer.Option(False, help="Print the table of the last run again."),
) -> None:
    """Time cold starts, and print the table for docs/benchmarks.md."""
    if not only_table:
        with tempfile.TemporaryDirectory() as scratch:
            cases = _cases(artifacts, photo.resolve(), before, inference, Path(scratch))
            rows = _measured(cases, runs, Path(scratch))
        data = {
            "cpu": asdict(read_cpu()),
            "load": os.getloadavg()[1],
            "rows": [asdict(row) for row in rows],
        }
        (ROOT / RESULT).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
    data = json.loads((ROOT / RESULT).read_text("utf-8"))
    cpu = data["cpu"]
    typer.echo(
        f"CPU: {cpu['model']}, {cpu['cores']} cores, {', '.join(cpu['features'])}. "
        f"The load average at the end was {data['load']:.1f}.\n"
    )
    typer.echo("\n".join(table([Row(**row) for row in data["rows"]])))


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of a Markdown table: medians in seconds, and the ratio of the last to the first.

    A row of wall time, and one of CPU time.
    """
    variants = [*dict.fromkeys(variant for row in rows for variant in row.samples_s)]
    cells = []
    for row, (place, time_of) in product(rows, enumerate(("wall", "CPU"))):
        times = [[sample[place] for sample in row.samples_s[each]] for each in variants]
        share = ratio([[each] for each in times[-1]], [[each] for each in times[0]])
        medians = [f"{median(each):.2f}" for each in times]
        cells.append((row.model, row.door, time_of, *medians, str(share)))
    heading = ("model", "command", "time", *(f"{each}, s" for each in variants), "ratio")
    return markdown(heading, cells, right=range(3, len(heading)))


def _measured(cases: Sequence[Case], runs: int, scratch: Path) -> list[Row]:
    measures = [partial(case.seconds, scratch) for case in cases]
    found = take_turns(measures, runs, 1, lambda step: typer.echo(step, err=True))
    rows: dict[tuple[str, str], Row] = {}
    for case, samples in zip(cases, found):
        row = rows.setdefault((case.model, case.door), Row(case.model, case.door, {}))
        row.samples_s[case.variant] = samples
    return list(rows.values())


def _cases(
    artifacts: Sequence[Path], photo: Path, before: Optional[Path], inference: bool, scratch: Path
) -> list[Case]:
    variants = [*([(BEFORE, before.resolve())] if before else []), (OFF, ROOT), (ON, ROOT)]
    doors: list[tuple[str, str, list[str]]] = []
    for folder in artifacts:
        m = read_artifact(folder).manifest
        untrained = " untrained" if m.checkpoint.file == "untrained" else ""
        for door, words in _doors(folder.resolve(), photo).items():
            doors.append((f"{m.model}{untrained} {m.precision}", door, words))
    if inference:
        words = ["main.py", "inference", "--model", "demo", "--input", str(photo)]
        words += ["--artifacts", str(scratch / "artifacts"), "--output", _NEW]
        doors.append(("demo fp32", "inference", words))
    return [
        Case(model, door, variant, tuple(words), root)
        for model, door, words in doors
        for variant, root in variants
    ]


def _doors(artifact: Path, photo: Path) -> dict[str, list[str]]:
    serve, image = ["-m", "serve"], ["--input", str(photo)]
    return {
        "sidecar": [*serve, "sidecar", str(artifact), *image, "--output-file", f"{_NEW}/a.npy"],
        "folder": [*serve, "folder", str(artifact), *image, "--output", _NEW],
        "http": [*serve, "http", str(artifact), "--port", "0"],
    }


if __name__ == "__main__":
    typer.run(main)
