"""Times the sidecar: image sizes, models, and the ways that depth leaves it.

    python -m tests.benchmarks.sidecar artifacts/NAME artifacts/OTHER
    python -m tests.benchmarks.sidecar artifacts/NAME --runs 5 --photo photo.jpg

Each size is the photo, resized and saved as JPEG. The stub and each artifact make it, as a new
process per image and by a worker. The table goes into serve/sidecar/README.md, between its two
marks; raw samples go to tests/benchmarks/results/sidecar.json. A worker's first image is not
counted.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Optional

import typer
from PIL import Image

from depth.artifact.manifest import read_artifact
from depth.console import markdown
from depth.cpu import read_cpu
from serve.sidecar.python.client import SidecarClient
from tests.support.places import ROOT

SIZES = {"640×480": (640, 480), "1920×1080": (1920, 1080), "3840×2160": (3840, 2160)}  # width first
README = Path("serve/sidecar/README.md")
RESULT = Path("tests/benchmarks/results/sidecar.json")
LIMIT_S = 120  # of SimplePicture3D for its largest size on a CPU
STUB = "stub"
ONCE = {"JSON": (), "file": ("--output-file",)}
WORKER = {"JSON": "json", "frames": "raw", "memory": "shm"}
HEADING = (
    *("image", "model", "once, JSON", "once, file", "worker, JSON", "worker, frames"),
    *("worker, memory", "MB, JSON", "MB, float32", f"once, JSON, of {LIMIT_S} s"),
)
_SIDECAR = (sys.executable, "-m", "serve", "sidecar")
_MARKS = re.compile(r"(<!-- table: begin -->\n).*?(<!-- table: end -->)", re.DOTALL)


@dataclass(frozen=True)
class Sample:
    """The runs of one way."""

    image: str
    model: str
    how: str  # "once: JSON", "worker: frames"
    wall_s: list[float]
    size_bytes: int


def main(
    artifacts: Optional[list[Path]] = typer.Argument(None, help="Artifacts; the stub always runs."),
    runs: int = typer.Option(3, min=1, help="Runs of each way; the table has their median."),
    photo: Path = typer.Option(ROOT / "input_images/samples/hall.jpg", help="A photograph."),
) -> None:
    """Time the sidecar, and write the table of its README."""
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory() as scratch:
        images = {name: _resized(photo, size, Path(scratch)) for name, size in SIZES.items()}
        for model, words in _models(artifacts or []):
            for sample in (*_once(model, words, images, runs), *_stays(model, words, images, runs)):
                typer.echo(f"{sample.image} {model} {sample.how}: {median(sample.wall_s):.2f} s")
                samples.append(sample)
    lines = [_machine(runs), "", *table(samples)]
    write(ROOT / README, lines)
    data = {"cpu": asdict(read_cpu()), "samples": [asdict(sample) for sample in samples]}
    (ROOT / RESULT).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
    typer.echo("\n".join(lines))


def table(samples: Sequence[Sample]) -> list[str]:
    """Lines of a Markdown table: a row for each image and model."""
    found = {(sample.image, sample.model, sample.how): sample for sample in samples}
    ways = [*(f"once: {how}" for how in ONCE), *(f"worker: {how}" for how in WORKER)]
    rows = []
    for image, model in dict.fromkeys((sample.image, sample.model) for sample in samples):
        of_way = [found[image, model, way] for way in ways]
        times = [f"{median(sample.wall_s):.2f}" for sample in of_way]
        sizes = [f"{sample.size_bytes / 1e6:.1f}" for sample in of_way[:2]]
        share = f"{100 * median(of_way[0].wall_s) / LIMIT_S:.1f} %"
        rows.append((image, model, *times, *sizes, share))
    return markdown(HEADING, rows, right=range(2, len(HEADING)))


def write(page: Path, lines: Sequence[str]) -> None:
    """Put the lines between the page's marks. Raises ValueError for a page without marks."""
    text = page.read_text(encoding="utf-8")
    if len(_MARKS.findall(text)) != 1:
        raise ValueError(f"{page}: expected one pair of marks, <!-- table: begin --> and end")
    body = "\n".join(lines)
    after = _MARKS.sub(lambda found: f"{found[1]}\n{body}\n\n{found[2]}", text)
    page.write_text(after, encoding="utf-8")


def _machine(runs: int) -> str:
    cpu = read_cpu()
    return (
        f"CPU: {cpu.model}, {cpu.cores} cores, {', '.join(cpu.features) or 'no AVX2'}. "
        f"{f'Medians of {runs} runs' if runs > 1 else 'A single run each'}, in wall seconds. "
        f"The load average at the end was {os.getloadavg()[1]:.0f}."
    )


def _models(artifacts: Sequence[Path]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The name in the table, and the words that choose the model."""
    yield STUB, ("--no-model",)
    for folder in artifacts:
        m = read_artifact(folder).manifest
        untrained = " untrained" if m.checkpoint.file == "untrained" else ""
        yield f"{m.model}{untrained}, {m.target} {m.precision}", (str(folder),)


def _once(model: str, words: Sequence[str], images: dict[str, Path], runs: int) -> Iterator[Sample]:
    """A process for each image."""
    for name, image in images.items():
        for how, option in ONCE.items():
            file = image.with_suffix(".f32")
            command = [
                *_SIDECAR,
                *words,
                "--input",
                str(image),
                *option,
                *[str(file)] * len(option),
            ]
            wall_s = []
            for _ in range(runs):
                begun_s = time.perf_counter()
                done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
                wall_s.append(time.perf_counter() - begun_s)
            size_bytes = file.stat().st_size if option else len(done.stdout)
            yield Sample(name, model, f"once: {how}", wall_s, size_bytes)


def _stays(
    model: str, words: Sequence[str], images: dict[str, Path], runs: int
) -> Iterator[Sample]:
    """A worker for all images."""
    with SidecarClient([*_SIDECAR, *words, "--worker"]) as client:
        for name, image in images.items():
            client.depth(image)  # loads the program
            for how, kind in WORKER.items():
                wall_s = []
                for _ in range(runs):
                    begun_s = time.perf_counter()
                    answer = client.depth(image, format=kind)
                    values = answer.values
                    total = 0.0 if values is None else float(values.sum())  # reads what is mapped
                    wall_s.append(time.perf_counter() - begun_s)
                    if total != total:
                        raise ValueError(f"{image}: NaN")
                size_bytes = len(answer.data) if values is None else 32 + values.nbytes
                yield Sample(name, model, f"worker: {how}", wall_s, size_bytes)


def _resized(photo: Path, size: tuple[int, int], folder: Path) -> Path:
    path = folder / f"{size[0]}.jpg"
    with Image.open(photo) as image:
        image.convert("RGB").resize(size).save(path, quality=90)
    return path


if __name__ == "__main__":
    typer.run(main)
