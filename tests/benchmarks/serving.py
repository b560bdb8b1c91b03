"""Everything that serving aims at, measured in one run, as a table.

    python -m tests.benchmarks.serving --upstream ../Depth-Anything-V2

Builds `vits` with random weights for the photographs' sizes, runs the other benchmarks of this
folder one after the other, each of which writes its raw samples to tests/benchmarks/results/, and
puts their figures beside the aims. About half an hour on two cores that have nothing else to do.
`--only-table` prints the table again from the files.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import typer

from compile.targets.openvino import runs_natively
from tests.benchmarks.matrix_products import gflops, middle
from tests.support.places import ROOT

RESULTS = Path(__file__).parent / "results"
PHOTOGRAPH_SIZES = ("518x784", "518x798")
GMACS = "83.7"  # of vits at 518x686
NAMES = {  # results file, less .json
    "upstream": "serving-upstream-vits",
    "pipeline": "pipeline",
    "host": "serving-host-path",
    "network": "serving-network",
    "scheduler": "scheduler",
    "kills": "killed-folder",
}


@dataclass(frozen=True)
class Row:
    what: str
    aim: str
    found: str
    met: Optional[bool]  # None: cannot be measured on this machine


def main(
    upstream: Path = typer.Option(..., help="Checkout of DepthAnything/Depth-Anything-V2."),
    copies: int = typer.Option(16, help="How often the six photographs stand in a folder."),
    only_table: bool = typer.Option(False, "--only-table", help="Measure nothing."),
) -> None:
    """Measure all, and print the table."""
    if not only_table:
        load = os.getloadavg()[0]
        measure(upstream, copies)
        typer.echo(f"load average at the start: {load:.1f}", err=True)
    found = {
        name: json.loads((RESULTS / f"{file}.json").read_text()) for name, file in NAMES.items()
    }
    typer.echo(table(list(rows(found))))


def measure(upstream: Path, copies: int) -> None:
    """Run the benchmarks; those that need the cores to themselves first."""
    with tempfile.TemporaryDirectory() as scratch:
        artifact = built(Path(scratch), "fp32", PHOTOGRAPH_SIZES)
        python("tests.benchmarks.pipeline", artifact, "--images", 6 * copies)
        options = ["--upstream", upstream, "--copies", copies, "--result", "serving-upstream"]
        python("tests.benchmarks.upstream", *options, "--rounds", 1)
        python("tests.benchmarks.host_path", artifact, "--result", NAMES["host"])
        precision = "bf16" if runs_natively("bf16") else "fp32"
        small = built(Path(scratch), precision, ("518x686",))
        samples = ["--gmacs", GMACS, "--json", RESULTS / f"{NAMES['network']}.json"]
        python("tests.benchmarks.matrix_products", small, *samples, "--rounds", 3, "--runs", 3)
        python("tests.benchmarks.scheduler")
        python("tests.benchmarks.killed_folder")


def built(out: Path, precision: str, sizes: tuple[str, ...]) -> Path:
    command = ["build", "--model", "vits", "--checkpoint", "untrained", "--out", out]
    command += ["--target", "openvino", "--precision", precision]
    printed = python("compile", *command, *(part for size in sizes for part in ("--size", size)))
    return Path(printed.strip().splitlines()[-1])


def python(module: str, *arguments: object) -> str:
    """What `python -m module` prints; its progress goes to stderr."""
    typer.echo(f"{module} ...", err=True)
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def rows(found: dict[str, Any]) -> Iterator[Row]:
    """The figures beside the aims."""
    yield from upstream_rows({row["side"]: row for row in found["upstream"]["rows"]})
    yield from pipeline_rows(found["pipeline"])
    yield network_row(found["network"]["results"][0])
    yield from host_rows(found["host"]["photographs"])
    yield from scheduler_rows(found["scheduler"])
    kills = found["kills"]
    lost = kills["wrong"] + kills["recomputed"] + kills["torn_lines"]
    said = f"{kills['right']} right, {kills['recomputed']} recomputed"
    yield Row(
        "SIGKILL at 50 moments of 200 images", "200, 0", said, kills["right"] == 200 and not lost
    )


def upstream_rows(sides: dict[str, Any]) -> Iterator[Row]:
    """The ratio to upstream differs between kinds of CPU, so it is a figure without an aim."""
    fp32, bf16 = sides["ours fp32"], sides.get("ours bf16")
    yield Row("end to end, fp32, against upstream", "", f"{fp32['steady_ratio']:.2f}x", None)
    yield at_most("its max_rel", fp32["max_rel"], 1e-3, "")
    if bf16 is None:
        yield Row("end to end, bf16, against upstream", "", "no bf16 in this CPU", None)
        return
    yield Row("end to end, bf16, against upstream", "", f"{bf16['steady_ratio']:.2f}x", None)
    yield at_most("its mean_rel", bf16["mean_rel"], 0.01, "")


def pipeline_rows(found: dict[str, Any]) -> Iterator[Row]:
    shares = [row["share"] for row in found["cpu"]]
    yield at_least("end to end against its parts, CPU", 100 * statistics.median(shares), 97.0, " %")
    rates = [row["images_per_s"] for row in found["simulated"]]
    share = 100 * statistics.median(rates) / 15
    yield at_least("end to end against a simulated 15/s", share, 95.0, " %")
    walls = [row["wall_s"] for row in found["cold"]]
    yield at_most("one image, cold process", statistics.median(walls), 1.5, " s")
    first: dict[str, float] = defaultdict(float)  # MB, by size, so far as 100 of it are done
    later: dict[str, float] = defaultdict(float)
    for size, images, mb in found["memory_mb"]:
        peak = first if images <= 100 else later
        peak[size] = max(peak[size], mb)
    whole = max(*first.values(), *later.values())
    yield at_most("peak memory over 2,000 images", whole, 1500.0, " MB")
    grown = max(100 * (later[size] / first[size] - 1) for size in later)
    yield at_most("its growth after the first 100 of a size", grown, 2.0, " %")


def network_row(result: dict[str, Any]) -> Row:
    what = f"network against matrix products, {result['precision']}"
    network, products = gflops(result["gmacs"], result["latency_ms"]), result["gemm_gflops"]
    return at_least(what, 100 * network / middle(products), 75.0, " %")


def host_rows(photographs: list[dict[str, Any]]) -> Iterator[Row]:
    one = next(photo for photo in photographs if photo["size_px"] == [1362, 2048])
    aims = {"reference/full": 100.0, "fast/full": 50.0, "fast/model": 30.0}
    for chain, aim in aims.items():
        stages = one["cpu_ms"][chain].values()
        yield at_most(f"host, {chain}", sum(map(statistics.median, stages)), aim, " CPU-ms")


def scheduler_rows(found: dict[str, Any]) -> Iterator[Row]:
    summary, faults = found["summary"], found["faults"]
    share = 100 * summary["saturated_share"]["median"]
    yield at_least("4 simulated cores of 10 ms, saturated", share, 97.0, " %")
    for arrivals, name in (("evenly spaced", "even"), ("Poisson", "poisson")):
        p99_ms = summary[f"{name}_p99_ms"]["median"]
        yield at_most(f"p99 at 80 % load, {arrivals}", p99_ms, 30.0, " ms")
    right = faults["right"] + faults.get("clear_error", 0)
    once = faults["answered_once"] == right == faults["requests"]
    said = f"{faults['answered_once']} answered once, {faults['right']} right"
    yield Row("10,000 mixed requests, cores failing", "every one, once", said, once)


def at_least(what: str, value: float, aim: float, unit: str) -> Row:
    return Row(what, f">= {aim:g}{unit}", f"{value:.3g}{unit}", value >= aim)


def at_most(what: str, value: float, aim: float, unit: str) -> Row:
    return Row(what, f"<= {aim:g}{unit}", f"{value:.3g}{unit}", value <= aim)


def table(rows: list[Row]) -> str:
    lines = ["| what | aim | found | |", "|---|--:|--:|---|"]
    words = {True: "met", False: "not met", None: ""}  # a figure without an aim
    lines += [f"| {row.what} | {row.aim} | {row.found} | {words[row.met]} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
