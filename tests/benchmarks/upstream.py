"""End to end against upstream's run.py: same photographs, same weights, runs taking turns.

    make bench UPSTREAM=../Depth-Anything-V2    # or python -m tests.benchmarks.upstream

Upstream's checkout is only read. Both sides run as their users run them, as a process over a
folder; what is compared is images per second from the first image to the last, and with the
start included. Depth is compared value by value. Raw samples go to tests/benchmarks/results/.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer

from compile.targets.openvino import runs_natively
from tests.support.places import PHOTOS, ROOT

RESULTS = Path(__file__).parent / "results"

# Weights from a fixed seed, in upstream's own layout, with biases that keep depth off the ReLU's
# zero. Then depth by upstream's infer_image, as float32.
_REFERENCE = """
import sys, cv2, numpy as np, torch
from pathlib import Path
import depth_anything_v2.dpt as found
from depth_anything_v2.dpt import DepthAnythingV2
encoder, photos, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
if (work / "upstream").resolve() not in Path(found.__file__).resolve().parents:
    sys.exit(f"{found.__file__} was imported, which is not upstream's")
dims = {"vits": (64, [48, 96, 192, 384]), "vitb": (128, [96, 192, 384, 768])}[encoder]
torch.manual_seed(0)
model = DepthAnythingV2(encoder=encoder, features=dims[0], out_channels=dims[1]).eval()
for name, parameter in model.named_parameters():
    if name.endswith("gamma"):
        parameter.data.fill_(0.2)
    elif parameter.ndim == 1:
        parameter.data.add_(0.05 * torch.randn(parameter.shape))
    if "output_conv2.2" in name:
        parameter.data.mul_(3).add_(0.3)
(work / "checkpoints").mkdir()
torch.save(model.state_dict(), work / "checkpoints" / f"depth_anything_v2_{encoder}.pth")
(work / "reference").mkdir()
for photo in sorted(photos.iterdir()):
    np.save(work / "reference" / f"{photo.stem}.npy", model.infer_image(cv2.imread(str(photo))))
"""


@dataclass(frozen=True)
class Run:
    """One process over the folder."""

    side: str
    images: int
    wall_s: float  # process start to end
    steady_s_per_image: float  # between the first image's line and the last one's


def main(
    upstream: Path = typer.Option(..., help="Checkout of DepthAnything/Depth-Anything-V2."),
    encoder: str = typer.Option("vits", help="vits or vitb."),
    photos: Path = typer.Option(PHOTOS, help="Folder of photographs."),
    copies: int = typer.Option(4, help="How often each photograph stands in the folder."),
    rounds: int = typer.Option(3, help="How often the sides take turns."),
    result: str = typer.Option("upstream", help="Begin of the file's name in results/."),
) -> None:
    """Compare with upstream and write tests/benchmarks/results/RESULT-ENCODER.json."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        prepare(upstream, encoder, photos, copies, work)
        sides = {
            "upstream fp32": upstream_command(encoder),
            "ours fp32": our_command(encoder, "fp32"),
        }
        if runs_natively("bf16"):
            sides["ours bf16"] = our_command(encoder, "bf16")
        errors = {
            side: depth_errors(encoder, side.split()[1], photos, work) for side in list(sides)[1:]
        }
        runs = [
            timed(side, command, work) for _ in range(rounds) for side, command in sides.items()
        ]
    report = summary(encoder, photos, copies, runs, errors)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{result}-{encoder}.json").write_text(json.dumps(report, indent=2) + "\n")
    typer.echo(table(report))


def prepare(upstream: Path, encoder: str, photos: Path, copies: int, work: Path) -> None:
    """Upstream's code, its weights and reference depth, and the folder of photographs."""
    package = work / "upstream" / "depth_anything_v2"
    shutil.copytree(upstream / "depth_anything_v2", package)
    shutil.copy(upstream / "run.py", work / "upstream")
    # Upstream's package has no __init__.py, so that an installed one of the same name, ours, would
    # be imported in its place.
    (package / "__init__.py").touch()
    command = [sys.executable, "-c", _REFERENCE, encoder, str(photos.resolve()), str(work)]
    run(command, work / "upstream")
    (work / "images").mkdir()
    for copy in range(copies):
        for photo in sorted(photos.iterdir()):
            shutil.copy(photo, work / "images" / f"{copy}-{photo.name}")


def upstream_command(encoder: str) -> list[str]:
    flags = ["--encoder", encoder, "--img-path", "images", "--outdir", "out"]
    return [sys.executable, "-u", "upstream/run.py", *flags, "--pred-only", "--grayscale"]


def our_command(encoder: str, precision: str) -> list[str]:
    script = str(ROOT / "inference.py")
    flags = ["--model", encoder, "--precision", precision, "--input", "images", "--output", "out"]
    return [sys.executable, "-u", script, *flags]


def depth_errors(encoder: str, precision: str, photos: Path, work: Path) -> dict[str, float]:
    """The worst photograph's errors; compiles the programs, so that the timed runs find them."""
    command = [*our_command(encoder, precision), "--format", "npy"]
    command[command.index("images")] = str(photos.resolve())
    command[command.index("out")] = f"depth-{precision}"
    run(command, work)
    worst = {"max_rel": 0.0, "mean_rel": 0.0}
    for path in sorted((work / "reference").iterdir()):
        expected = np.load(path)
        error = np.abs(np.load(work / f"depth-{precision}" / path.name) - expected)
        worst["max_rel"] = max(worst["max_rel"], float(error.max() / np.abs(expected).max()))
        worst["mean_rel"] = max(worst["mean_rel"], float(error.mean() / np.abs(expected).mean()))
    return worst


def timed(side: str, command: list[str], work: Path) -> Run:
    """Both sides print one line per image, which dates it."""
    shutil.rmtree(work / "out", ignore_errors=True)
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        times = [time.perf_counter() for _ in process.stdout or ()]
    if process.returncode:
        raise typer.Exit(process.returncode)
    wall_s = time.perf_counter() - started
    steady_s = (times[-1] - times[0]) / (len(times) - 1)
    typer.echo(
        f"{side}: {len(times)} images, {steady_s:.3f} s each, {wall_s:.1f} s in all", err=True
    )
    return Run(side, len(times), wall_s, steady_s)


def run(command: list[str], cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=sys.stderr)


def summary(
    encoder: str, photos: Path, copies: int, runs: list[Run], errors: dict[str, dict[str, float]]
) -> dict[str, object]:
    """Medians, ratios of runs of the same round, and everything they were made from."""
    sides = list(dict.fromkeys(run.side for run in runs))
    by_side = {side: [run for run in runs if run.side == side] for side in sides}
    base = by_side[sides[0]]
    rows = []
    for side, own in by_side.items():
        rows.append(
            {
                "side": side,
                "steady_s_per_image": statistics.median(r.steady_s_per_image for r in own),
                "wall_s": statistics.median(r.wall_s for r in own),
                "steady_ratio": statistics.median(
                    b.steady_s_per_image / r.steady_s_per_image for b, r in zip(base, own)
                ),
                "wall_ratio": statistics.median(b.wall_s / r.wall_s for b, r in zip(base, own)),
                **errors.get(side, {"max_rel": 0.0, "mean_rel": 0.0}),
            }
        )
    return {
        "encoder": encoder,
        "photographs": sorted(photo.name for photo in photos.iterdir()),
        "copies": copies,
        "machine": {"system": platform.platform(), "cpu": cpu_name(), "cores": os.cpu_count()},
        "rows": rows,
        "runs": [vars(run) for run in runs],
    }


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")


def table(report: dict[str, object]) -> str:
    lines = [
        "| | s per image | ratio | s in all | ratio | max_rel | mean_rel |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in report["rows"]:  # type: ignore[attr-defined]
        lines.append(
            f"| {row['side']} | {row['steady_s_per_image']:.3f} | {row['steady_ratio']:.1f} "
            f"| {row['wall_s']:.1f} | {row['wall_ratio']:.1f} "
            f"| {row['max_rel']:.1e} | {row['mean_rel']:.1e} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
