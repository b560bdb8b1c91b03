"""CPU time of the work around the network: image file to tensor, and depth to 16-bit PNG.

    python -m tests.benchmarks.host_path artifacts/NAME --side 518

Every stage runs in this thread alone and is timed by `time.thread_time`, so that a machine which is
busy with other work disturbs little; both modes take turns. Depth of mode `fast` is compared with
`reference` value by value, through the whole engine. Tables go to stdout, raw samples with machine
and versions to tests/benchmarks/results/.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
import numpy.typing as npt
import typer
from isal import isal_zlib

from depth.artifact.manifest import read_artifact
from depth.images.read import read_image
from depth.maps import png
from depth.maps.files import encode_map
from depth.maps.png import coding_for, to_codes
from depth.maps.result import FULL, MODEL, Map, Result
from depth.preprocess import FAST, REFERENCE
from serve.engine import Engine
from serve.library import Library
from tests.support.places import PHOTOS

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("isal", "numpy", "opencv-python-headless", "simplejpeg")
STAGES = ("decode", "prepare", "resize", "encode")
CHAINS = ((REFERENCE, FULL), (FAST, FULL), (FAST, MODEL))

Samples = dict[str, list[float]]
Error = dict[str, float]


def main(
    artifact: Path = typer.Argument(help="An artifact with programs for the photographs' sizes."),
    side: Optional[int] = typer.Option(
        None, help="Side in px of the network's input that the size rule sets; else the model's."
    ),
    photos: Path = typer.Option(PHOTOS, help="Folder of photographs."),
    rounds: int = typer.Option(11, help="How often each stage of each photograph is timed."),
    result: Optional[str] = typer.Option(None, help="Name of the file in results/, less .json."),
) -> None:
    """Time the stages and the encoders, and compare fast with reference."""
    cv2.setNumThreads(1)
    library = Library([read_artifact(artifact)], allow_failed_parity=True)
    rule = library.any_artifact().manifest.size
    rule = replace(rule, side_px=side or rule.side_px)
    engines = {
        chain: Engine(library, "exact", rule, preprocess=chain[0], output_size=chain[1])
        for chain in CHAINS
    }
    photographs = []
    for path in sorted(photos.iterdir()):
        typer.echo(f"{path.name} ...", err=True)
        photographs.append(photograph(path, engines, rounds))
    largest = max(sorted(photos.iterdir()), key=lambda path: path.stat().st_size)
    depth = engines[CHAINS[0]].result(read_image(largest)).depth
    report = {
        "artifact": {"model": library.any_artifact().manifest.model},
        "side_px": rule.side_px,
        "machine": machine(),
        "photographs": photographs,
        "encoders": {"photograph": largest.name, "rows": list(encoders(depth, rounds))},
    }
    if result:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{result}.json").write_text(json.dumps(report, indent=1) + "\n")
    typer.echo(f"{stage_table(photographs)}\n\n{error_table(photographs)}\n")
    typer.echo(encoder_table(report["encoders"]["rows"]))  # type: ignore[index]


def photograph(path: Path, engines: dict[tuple[str, str], Engine], rounds: int) -> dict[str, Any]:
    """Samples in CPU-ms of every stage of every chain, and what fast changes."""
    results: dict[tuple[str, str], Result] = {}
    samples: dict[str, Samples] = {"/".join(chain): {s: [] for s in STAGES} for chain in CHAINS}
    raws = {}
    for chain, engine in engines.items():
        prepared = engine.prepare(read_image(path, engine.needed))
        raws[chain] = engine.run(prepared)
        results[chain] = engine.finish(raws[chain])
    for _ in range(rounds):
        for chain, engine in engines.items():
            own = samples["/".join(chain)]
            source = timed(own["decode"], lambda e=engine: read_image(path, e.needed))
            timed(own["prepare"], lambda e=engine, s=source: e.prepare(s))
            result = timed(own["resize"], lambda e=engine, c=chain: e.finish(raws[c]))
            timed(own["encode"], lambda r=result: encode_map(r, "png", {"path": path.name}))
    source = raws[(FAST, FULL)].prepared.source
    return {
        "name": path.name,
        "size_px": [source.header.height_px, source.header.width_px],
        "model_px": list(raws[(FAST, FULL)].prepared.size),
        "decoded_px": list(source.pixels.shape[:2]),
        "cpu_ms": samples,
        "error": error(results[(FAST, FULL)].depth, results[(REFERENCE, FULL)].depth),
    }


def timed(samples: list[float], work: Callable[[], Any]) -> Any:
    started = time.thread_time()
    result = work()
    samples.append((time.thread_time() - started) * 1e3)
    return result


def error(found: Map, expected: Map) -> Error:
    """As compile/parity/measure.py defines them."""
    difference = np.abs(found.values - expected.values)
    scale = np.abs(expected.values)
    correlation = np.corrcoef(found.values.ravel(), expected.values.ravel())[0, 1]
    return {
        "max_rel": float(difference.max() / scale.max()),
        "mean_rel": float(difference.mean() / scale.mean()),
        "correlation": float(correlation),
    }


def encoders(depth: Map, rounds: int) -> Iterator[dict[str, Any]]:
    """Each way to make a 16-bit PNG, or its compressed part: CPU-ms and bytes."""
    codes = to_codes(depth.values, coding_for(depth))
    rows = codes.astype(">u2").view(np.uint8).reshape(len(codes), -1)
    ways: dict[str, Callable[[], bytes]] = {"depth/maps/png.py, whole": lambda: png.encode(codes)}
    for name, values in filtered(rows).items():
        for level in range(4):
            ways[f"isal {level}, {name}"] = lambda v=values, n=level: isal_zlib.compress(v, n)
        ways[f"zlib 1, {name}"] = lambda v=values: zlib.compress(v, 1)
    for level in (0, 1):
        options = (cv2.IMWRITE_PNG_COMPRESSION, level)
        ways[f"OpenCV {level}, whole"] = lambda o=options: cv2.imencode(".png", codes, o)[1]
    options = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, 2)
    ways["OpenCV 1, Huffman only, whole"] = lambda: cv2.imencode(".png", codes, options)[1]
    for name, way in ways.items():
        samples: list[float] = []
        for _ in range(rounds):
            size_bytes = len(timed(samples, way))
        yield {"encoder": name, "bytes": size_bytes, "cpu_ms": samples}


def filtered(rows: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.uint8]]:
    """The bytes that PNG compresses, under three of its filters; two bytes make a pixel."""
    result = {}
    for code, name in enumerate(("no filter", "left", "up")):
        values = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        values[:, 0] = code
        values[:, 1:] = rows
        if name == "left":
            values[:, 3:] -= rows[:, :-2]
        elif name == "up":
            values[1:, 1:] -= rows[:-1]
        result[name] = values
    return result


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return {
        "system": platform.platform(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def stage_table(photographs: list[dict[str, Any]]) -> str:
    """Medians in CPU-ms."""
    lines = [
        f"| photograph | network | mode | output | decoded | {' | '.join(STAGES)} | sum |",
        f"|---|---|---|---|---|{'--:|' * (len(STAGES) + 1)}",
    ]
    for one in photographs:
        for chain, samples in one["cpu_ms"].items():
            mode, output = chain.split("/")
            medians = [statistics.median(samples[stage]) for stage in STAGES]
            decoded = one["decoded_px"] if mode == FAST else one["size_px"]
            cells = [by(one["size_px"]), by(one["model_px"]), mode, output, by(decoded)]
            cells += [f"{ms:.1f}" for ms in (*medians, sum(medians))]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def by(size: list[int]) -> str:
    """Width first, as people say it."""
    return f"{size[1]}x{size[0]}"


def error_table(photographs: list[dict[str, Any]]) -> str:
    lines = [
        "| photograph | network | decoded | max_rel | mean_rel | correlation |",
        "|---|---|---|--:|--:|--:|",
    ]
    for one in photographs:
        cells = [by(one[key]) for key in ("size_px", "model_px", "decoded_px")]
        cells += [f"{one['error'][key]:.5f}" for key in ("max_rel", "mean_rel", "correlation")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def encoder_table(rows: list[dict[str, Any]]) -> str:
    lines = ["| encoder | CPU-ms | kB |", "|---|--:|--:|"]
    for row in rows:
        median = statistics.median(row["cpu_ms"])
        lines.append(f"| {row['encoder']} | {median:.1f} | {row['bytes'] / 1e3:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
